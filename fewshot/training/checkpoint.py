"""Weights as safetensors with a JSON card beside them; a run's state to resume from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from fewshot.data.cache import write_atomically
from fewshot.types import InputError


def card_path(weights: Path) -> Path:
    """Where the card of a weights file lies."""
    return weights.with_suffix(".json")


def state_path(weights: Path) -> Path:
    """Where the state of the run that makes a weights file lies."""
    return weights.with_suffix(".state.safetensors")


def sha256(path: Path) -> str:
    """Hex digest of a file, as evaluation results name their checkpoints."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_weights(path: Path, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write weights and card, each atomically, the card first: weights never lack one."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    write_atomically(card_path(path), text.encode())
    write_atomically(path, save(_plain(weights)))


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and card.

    Raises:
        InputError: a file is missing, or is not what it should be.
    """
    try:
        card = json.loads(card_path(path).read_text("utf-8"))
        return load_file(path), card
    except FileNotFoundError as error:
        raise InputError(f"There is no checkpoint at {error.filename or path}.") from error
    except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} is not a checkpoint of this project ({error}).") from error


def save_state(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write a run's tensors, and its facts as JSON inside the same file, atomically."""
    write_atomically(path, save(_plain(tensors), metadata={"run": json.dumps(facts)}))


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_state` wrote.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["run"])
        return load_file(path), facts
    except FileNotFoundError as error:
        raise InputError(f"There is no run to resume at {path}.") from error
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not the state of a training run.") from error


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


def with_prefix(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """``name`` becomes ``prefix.name``."""
    return {f"{prefix}.{name}": value for name, value in weights.items()}


def without_prefix(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries named ``prefix.name``, as ``name``."""
    start = prefix + "."
    return {n.removeprefix(start): v for n, v in weights.items() if n.startswith(start)}


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, contiguous, sharing no memory: what safetensors stores."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
