"""Which device and which precision, decided by what the hardware supports."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fewshot.types import InputError


def best_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@functools.cache
def has_fast_bf16(kind: str) -> bool:
    """Whether bf16 arithmetic is done by the hardware of a device kind ("cuda", "cpu", ...).

    An x86 CPU without AVX512-BF16 or AMX still accepts bf16 but emulates it, many times
    slower than fp32, so being accepted is not the question to ask. ``FEWSHOT_PRECISION=fp32`` says
    no for all, for figures that are to be the same to more digits than bf16 has.
    """
    if os.environ.get("FEWSHOT_PRECISION") == "fp32":
        return False
    if kind == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    if kind == "cpu":
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
    return False


def autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """bf16 autocast where the hardware has it, else a context that does nothing."""
    if has_fast_bf16(device.type):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def precision_name(device: torch.device) -> str:
    """ "bf16" or "fp32": what :func:`autocast` computes in on this device."""
    return "bf16" if has_fast_bf16(device.type) else "fp32"


def on_zero_gpu() -> bool:
    """Whether this process runs on a Hugging Face ZeroGPU Space."""
    return bool(os.environ.get("SPACES_ZERO_GPU"))


def gpu(duration: int = 60) -> Callable[[Callable], Callable]:
    """Decorate a generator function that may use a GPU for up to ``duration`` seconds.

    On ZeroGPU it runs in another process, with arguments and results pickled and every mutation
    lost, so decorated functions take and yield CPU arrays and change nothing; an InputError raised
    there is raised here. Anywhere else the function is returned as it is.
    """
    if not on_zero_gpu():
        return lambda function: function
    import spaces  # provided by the Space; nothing to install elsewhere

    lent = spaces.GPU(duration=duration)
    return lambda function: _refusing(lent(_refusals_as_results(function)))


@dataclass(frozen=True)
class _Refused:
    """An InputError on its way between processes, where ZeroGPU tells of no error but its class."""

    sentence: str


def _refusals_as_results(function: Callable) -> Callable:
    """The generator function, but that an InputError is its last result."""

    @functools.wraps(function)
    def steps(*args, **kwargs):
        try:
            yield from function(*args, **kwargs)
        except InputError as error:
            yield _Refused(str(error))

    return steps


def _refusing(function: Callable) -> Callable:
    """The generator function, but that a refusal among its results is raised."""

    @functools.wraps(function)
    def steps(*args, **kwargs):
        with contextlib.closing(function(*args, **kwargs)) as results:
            for result in results:
                if isinstance(result, _Refused):
                    raise InputError(result.sentence)
                yield result

    return steps
