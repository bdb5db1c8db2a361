"""Device and precision: chosen by what the hardware computes in, not by what it accepts."""

from __future__ import annotations

import functools
import inspect
import pickle
import sys
from types import SimpleNamespace

import pytest
import torch

from fewshot import device
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.training.drawings import begin_drawings
from fewshot.training.objectives import OBJECTIVES, TrainingData
from fewshot.training.recipe import Recipe
from fewshot.training.samplers import step_generator
from fewshot.types import InputError

TINY = ConvNetConfig(input_size=16, stem=8, widths=(8, 16), pooled=(False, True), grid=2, dim=16)


@pytest.fixture
def bf16(monkeypatch):
    """A machine whose hardware has bf16, as far as the code can tell."""
    monkeypatch.setattr(device, "has_fast_bf16", lambda kind: True)


@pytest.mark.parametrize(
    ("avx512", "amx", "expected"),
    [(False, False, "fp32"), (True, False, "bf16"), (False, True, "bf16")],
)
def test_precision_of_a_cpu(monkeypatch, avx512, amx, expected):
    monkeypatch.delenv("FEWSHOT_PRECISION", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    device.has_fast_bf16.cache_clear()
    assert device.precision_name(torch.device("cpu")) == expected
    with device.autocast(torch.device("cpu")):
        product = torch.ones(4, 4) @ torch.ones(4, 4)
    assert product.dtype == (torch.bfloat16 if expected == "bf16" else torch.float32)
    device.has_fast_bf16.cache_clear()


def test_a_person_may_ask_for_fp32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    monkeypatch.setenv("FEWSHOT_PRECISION", "fp32")
    device.has_fast_bf16.cache_clear()
    assert device.precision_name(torch.device("cpu")) == "fp32"
    device.has_fast_bf16.cache_clear()


def test_embeddings_are_float32_of_unit_length_in_bf16_too(bf16):
    network = ConvNet(TINY).eval()
    ink = torch.rand(3, 1, 16, 16)
    with torch.no_grad():
        exact = network(ink)
        with device.autocast(torch.device("cpu")):
            x = network(ink)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.norm(dim=1), torch.ones(3))
    assert ((x * exact).sum(1) > 0.999).all()


@pytest.mark.parametrize("method", sorted(OBJECTIVES))
def test_every_loss_can_be_computed_under_autocast(bf16, method):
    recipe = Recipe(method, batch=16, images_per_class=4)
    data = TrainingData(
        torch.randint(0, 256, (6, 5, 16, 16), dtype=torch.uint8), torch.tensor([0, 0, 0, 1, 1, 1])
    )
    run = begin_drawings(recipe, TINY, data)
    with device.autocast(torch.device("cpu")):
        loss = run.objective.loss(data, step_generator(0, 0, torch.device("cpu")))
    loss.backward()
    gradients = [p.grad for p in run.objective.parameters() if p.grad is not None]
    assert torch.isfinite(loss) and gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_the_gpu_decorator_is_nothing_off_zero_gpu(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)

    def work(x):
        return x

    assert device.gpu(duration=5)(work) is work


def test_a_refusal_comes_back_from_zero_gpu_as_it_was(monkeypatch):
    """Of any other error that is raised there, the caller is told the class alone."""

    def lent(function):
        def told(call):
            try:
                return call()
            except Exception as error:
                raise RuntimeError(type(error).__name__) from error

        @functools.wraps(function)
        def steps(*arguments):
            running = function(*arguments)
            try:
                while (step := told(lambda: next(running, None))) is not None:
                    yield pickle.loads(pickle.dumps(step))
            except GeneratorExit:
                ended.append(True)
                raise

        return steps

    asked, ended = [], []
    spaces = SimpleNamespace(GPU=lambda duration: (asked.append(duration), lent)[1])
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")

    @device.gpu(duration=5)
    def steps(x):
        """One after the other."""
        yield from range(1, x)
        if x == 3:
            raise InputError("not 3")
        if x == 4:
            raise KeyError("inside")

    assert asked == [5] and steps.__doc__ == "One after the other."
    assert inspect.isgeneratorfunction(steps) and list(steps(5)) == [1, 2, 3, 4]
    running = steps(3)
    assert [next(running), next(running)] == [1, 2]
    with pytest.raises(InputError, match="not 3"):
        next(running)
    with pytest.raises(RuntimeError, match="KeyError"):
        list(steps(4))
    # A run that is given up gives the GPU back.
    ended.clear()
    running = steps(5)
    next(running)
    running.close()
    assert ended == [True]
