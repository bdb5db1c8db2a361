"""A run's state as one safetensors file, to resume from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from fewshot.atomic_write import write_atomically
from fewshot.encoders.weights import plain
from fewshot.types import InputError


def state_path(weights: Path) -> Path:
    """Where the state of the run that makes a weights file lies."""
    return weights.with_suffix(".state.safetensors")


def save_state(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write a run's tensors, and its facts as JSON inside the same file, atomically."""
    write_atomically(path, save(plain(tensors), metadata={"run": json.dumps(facts)}))


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_state` wrote.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    facts = _facts(path)
    try:
        return load_file(path), facts
    except (SafetensorError, OSError) as error:
        raise _no_state(path) from error


def progress_of(path: Path) -> tuple[int, int]:
    """How many steps the run of a state has done, and how many it is to have in all.

    Raises:
        InputError: as :func:`load_state`.
    """
    facts = _facts(path)
    return int(facts["step"]), int(facts["recipe"]["steps"])


def _facts(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["run"])
        int(facts["step"]), int(facts["recipe"]["steps"])  # what any state has
        return facts
    except FileNotFoundError as error:
        raise InputError(f"There is no run to resume at {path}: leave out --resume.") from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _no_state(path) from error


def _no_state(path: Path) -> InputError:
    return InputError(
        f"{path} is not the state of a training run: begin anew with another --output."
    )


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors: ``optimizer.<parameter>.<name>``."""
    return {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
        if value is not None
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`pack_optimizer` took out."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
