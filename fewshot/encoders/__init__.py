"""Encoders by name, loaded on first use, once per process."""

from __future__ import annotations

import os
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
# Names a folder of drawings checkpoints that go before those.
VARIABLE = "FEWSHOT_CHECKPOINTS"
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
    if name == "pixels":
        return _kept((name, None), _load_pixels)
    if name != "clip":
        path = find_checkpoint(name)
        return _kept((name, str(path)), lambda: _load(name, path))
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


def own_checkpoints() -> tuple[Path, ...]:
    """The folder that ``$FEWSHOT_CHECKPOINTS`` names, if it does.

    Raises:
        InputError: it names none.
    """
    own = os.environ.get(VARIABLE)
    if not own:
        return ()
    if not Path(own).is_dir():
        raise InputError(f"{VARIABLE} is to name a folder of checkpoints, and {own} is none.")
    return (Path(own),)


def find_checkpoint(name: str) -> Path:
    """A drawings encoder's weights: in ``$FEWSHOT_CHECKPOINTS``, else in ``assets/checkpoints``.

    Raises:
        InputError: they are in neither, or the variable names no folder.
    """
    paths = [folder / f"{name}.safetensors" for folder in (*own_checkpoints(), CHECKPOINTS)]
    if found := next((path for path in paths if path.exists()), None):
        return found
    raise InputError(
        f"The checkpoint {name}.safetensors is not in assets/checkpoints: make it with “python -m "
        f"fewshot train” and name its folder in {VARIABLE}, or leave out the methods that use it."
    )


def _load(name: str, path: Path) -> Encoder:
    if name == "drawings-maml":
        from fewshot.encoders.maml import MamlEncoder

        return MamlEncoder(name, path)
    from fewshot.encoders.drawings import DrawingsEncoder

    return DrawingsEncoder(name, path)


def _load_pixels() -> Encoder:
    from fewshot.encoders.pixels import PixelEncoder

    return PixelEncoder()


def _load_clip(folder: ClipFolder) -> Encoder:
    from fewshot.encoders.clip import load_clip

    return load_clip(folder)
