"""Weights as safetensors with a JSON card beside them. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from fewshot.atomic_write import write_atomically
from fewshot.types import InputError


def card_path(weights: Path) -> Path:
    """Where the card of a weights file lies."""
    return weights.with_suffix(".json")


def sha256(path: Path) -> str:
    """Hex digest of a file, as evaluation results name their checkpoints."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_weights(path: Path, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write weights and card, each atomically, the card first: weights never lack one."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    write_atomically(card_path(path), text.encode("utf-8", "backslashreplace"))
    write_atomically(path, save(plain(weights)))


def load_card(path: Path) -> dict[str, Any]:
    """Read the card of a weights file.

    Raises:
        InputError: there is none, or it is no card.
    """
    try:
        card = json.loads(card_path(path).read_text("utf-8"))
        data = dict(card["data"])
        facts = {"data": data | {"name": str(data["name"])}, "licence": str(card["licence"])}
        return card | facts | {"architecture": dict(card["architecture"])}
    except FileNotFoundError as error:
        raise InputError(f"There is no checkpoint card at {card_path(path)}.") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{card_path(path)} is not a card of this project's weights.") from error


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a weights file.

    Raises:
        InputError: there is none, or it is not safetensors.
    """
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise InputError(f"There is no checkpoint at {path}.") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}).") from error


def with_prefix(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """``name`` becomes ``prefix.name``."""
    return {f"{prefix}.{name}": value for name, value in weights.items()}


def without_prefix(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries named ``prefix.name``, as ``name``."""
    start = prefix + "."
    return {n.removeprefix(start): v for n, v in weights.items() if n.startswith(start)}


def plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, contiguous, sharing no memory: what safetensors stores."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def half_precision(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Numbers as fp16, in which weights take half the space; counters as they are."""
    return {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
