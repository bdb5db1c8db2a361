"""Encoders by name, loaded on first use, once per process."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.encoders.base import Encoder
from fewshot.types import InputError

if TYPE_CHECKING:
    from fewshot.encoders.clip_models import ClipFolder

CHECKPOINTS = Path(__file__).parents[2] / "assets" / "checkpoints"
DRAWINGS = (
    "drawings-siamese",
    "drawings-triplet",
    "drawings-prototype",
    "drawings-contrastive",
    "drawings-matching",
    "drawings-prototypical",
    "drawings-relation",
)
ENCODERS = (*DRAWINGS, "drawings-maml", "koch", "pixels", "clip")

_loaded: dict[tuple[str, str | None], Encoder] = {}
# Two visitors who need the same model at once wait for one load of it, and nobody else does.
_locks: defaultdict[tuple[str, str | None], threading.Lock] = defaultdict(threading.Lock)


def get_encoder(name: str, model: str | None = None) -> Encoder:
    """An encoder, loading it if need be.

    Args:
        name: one of :data:`ENCODERS`.
        model: for "clip": which one, as :func:`fewshot.encoders.clip_models.find_clip` takes it.

    Raises:
        InputError: it cannot be had; says what to do.
    """
    if name not in ENCODERS:
        raise InputError(f"There is no encoder “{name}”: choose {', '.join(ENCODERS)}.")
    if name == "koch":
        from fewshot.encoders.koch_encoder import KochEncoder, find_koch

        weights = find_koch()  # looked up anew each time, as it may have been trained since
        return _kept((name, str(weights)), lambda: KochEncoder(weights))
    if name != "clip":
        return _kept((name, None), lambda: _load(name))
    # Looked up anew each time: the default model may have been downloaded since. And before the
    # import, which takes seconds, so as to fail fast.
    from fewshot.encoders.clip_models import find_clip

    folder = find_clip(model)
    return _kept((name, str(folder.path)), lambda: _load_clip(folder))


def _kept(key: tuple[str, str | None], load: Callable[[], Encoder]) -> Encoder:
    if key in _loaded:
        return _loaded[key]
    with _locks[key]:
        if key not in _loaded:
            _loaded[key] = load()
        return _loaded[key]


def _load(name: str) -> Encoder:
    if name == "pixels":
        from fewshot.encoders.pixels import PixelEncoder

        return PixelEncoder()
    if name == "drawings-maml":
        from fewshot.encoders.maml import MamlEncoder

        return MamlEncoder(name, _present(CHECKPOINTS / f"{name}.safetensors"))
    from fewshot.encoders.drawings import DrawingsEncoder

    return DrawingsEncoder(name, _present(CHECKPOINTS / f"{name}.safetensors"))


def _present(path: Path) -> Path:
    """The path of a checkpoint that is there."""
    if not path.exists():
        raise InputError(
            f"The checkpoint {path.name} is not in assets/checkpoints: make it with “python -m "
            "fewshot train”, or leave out the methods that use it."
        )
    return path


def _load_clip(folder: ClipFolder) -> Encoder:
    from fewshot.encoders.clip import load_clip

    return load_clip(folder)
