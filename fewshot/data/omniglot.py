"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawings each.

Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program
induction, Science 350 (2015), https://github.com/brendenlake/omniglot, MIT licence.
"""

from __future__ import annotations

import contextlib
import io
import string
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from fewshot.atomic_write import write_atomically
from fewshot.data.cache import cache_folder, content_key
from fewshot.data.pool import Pool
from fewshot.types import InputError, Picture

SPLITS = {"background": "images_background", "evaluation": "images_evaluation"}
# Background alphabets kept out of training, to choose by.
HELD_OUT_ALPHABETS = 3


@dataclass(frozen=True)
class Omniglot:
    """One split in memory.

    Attributes:
        images: ``(classes, 20, h, w)`` uint8, ink 0 on paper 255.
        classes: ``alphabet/character`` names.
        alphabets: ``(classes,)`` int64, which alphabet each character belongs to.
        alphabet_names: alphabet names by id.
    """

    images: np.ndarray
    classes: tuple[str, ...]
    alphabets: np.ndarray
    alphabet_names: tuple[str, ...]

    def select(self, classes: np.ndarray) -> Omniglot:
        """The same data with the given classes only, in the given order."""
        names = tuple(self.classes[c] for c in classes)
        return Omniglot(self.images[classes], names, self.alphabets[classes], self.alphabet_names)

    def latin(self) -> Omniglot:
        """The Latin alphabet by name: its characters 01 to 26 are "letter a" to "letter z".

        Raises:
            InputError: it is not among the alphabets.
        """
        if "Latin" not in self.alphabet_names:
            raise InputError("The data have no alphabet Latin: take Omniglot's background split.")
        chosen = np.flatnonzero(self.alphabets == self.alphabet_names.index("Latin"))
        data = self.select(chosen[np.argsort([self.classes[c] for c in chosen])])
        names = tuple(f"letter {letter}" for letter in string.ascii_lowercase)
        return replace(data, classes=names[: len(chosen)])

    def pool(self) -> Pool:
        """As pictures to draw episodes from; no pixel is copied."""
        per_class = self.images.shape[1]
        pictures = [
            Picture(f"{name}/{i + 1:02d}.png", _as_rgb(drawing))
            for name, drawings in zip(self.classes, self.images, strict=True)
            for i, drawing in enumerate(drawings)
        ]
        labels = np.arange(len(self.classes)).repeat(per_class)
        return Pool(pictures, labels, self.classes, self.alphabets, self.alphabet_names)


def _as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.broadcast_to(grey[..., None], (*grey.shape, 3))


def load_omniglot(split: str, folder: Path | None = None) -> Omniglot:
    """Load ``background`` or ``evaluation``.

    Args:
        split: which of the two.
        folder: holds ``images_background`` or ``images_evaluation`` as a folder or a zip (only
            the wanted one is needed). None downloads through torchvision to the user's cache.

    Raises:
        InputError: the split is not there, cannot be read, or cannot be downloaded.
    """
    source = find_split(split, folder)
    kept = cache_folder() / f"omniglot-{content_key(source)}.npz"
    with contextlib.suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return _unpack(kept)  # unless there is none, or a broken one
    data = read_omniglot(source)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        _keep(data, kept)
    return data


def split_alphabets(groups: np.ndarray, held_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Class ids to train on and to validate on, ``held_out`` whole alphabets apart.

    Args:
        groups: ``(classes,)`` alphabet ids.
        held_out: how many alphabets to keep for validation.

    Raises:
        InputError: there are no more of them.
    """
    alphabets = np.unique(groups)
    if held_out >= len(alphabets):
        raise InputError(
            f"Keeping {held_out} alphabets for validation leaves none of the {len(alphabets)} in "
            "the data to train on."
        )
    # The same ones whatever a run's seed, so that runs are compared on the same characters.
    chosen = np.random.default_rng(0).permutation(alphabets)[:held_out]
    kept_out = np.isin(groups, chosen)
    return np.flatnonzero(~kept_out), np.flatnonzero(kept_out)


def held_out_characters(data: Omniglot) -> Omniglot:
    """The background characters that the shipped recipes validate on and never train on."""
    return data.select(split_alphabets(data.alphabets, HELD_OUT_ALPHABETS)[1])


def find_split(split: str, folder: Path | None) -> Path:
    """Where a split's drawings lie; arguments and errors as for :func:`load_omniglot`."""
    if folder is None:
        return _download(split)
    name = SPLITS[split]
    for candidate in (folder / name, folder / f"{name}.zip"):
        if candidate.exists():
            return candidate
    raise InputError(
        f"{folder} holds neither the folder {name} nor {name}.zip: give --data the folder "
        "that does."
    )


def downloaded(split: str) -> Path | None:
    """Where an earlier download of a split lies, if there was one."""
    path = _download_folder() / "omniglot-py" / f"{SPLITS[split]}.zip"
    return path if path.exists() else None


def _download_folder() -> Path:
    return cache_folder() / "downloads"


def _download(split: str) -> Path:
    from torchvision.datasets import Omniglot as TorchvisionOmniglot

    root = _download_folder()
    try:
        TorchvisionOmniglot(str(root), background=split == "background", download=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            "Omniglot is not on this machine and could not be downloaded "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}); "
            "give a folder that holds it with --data."
        ) from error
    # The zip's hash is checked; what an interrupted run unpacked of it is not.
    return root / "omniglot-py" / f"{SPLITS[split]}.zip"


def read_omniglot(source: Path) -> Omniglot:
    """Read a split from its folder or zip, past the cache."""
    drawings: dict[tuple[str, str], list[np.ndarray]] = {}
    try:
        for path, data in _files(source):
            alphabet, character = path.parts[-3:-1]
            try:
                with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                    grey = np.asarray(image.convert("L"))
            except Exception as error:
                raise InputError(f"{path} is not a PNG picture or is damaged.") from error
            # Black or white, as Omniglot is: what the cached copy holds.
            grey = np.where(grey < 128, 0, 255).astype(np.uint8)
            drawings.setdefault((alphabet, character), []).append(grey)
    except InputError:
        raise
    # Besides OSError and BadZipFile: zlib.error, EOFError, NotImplementedError, RuntimeError.
    except Exception as error:
        raise InputError(f"{source} cannot be read as Omniglot: {error}.") from error
    if not drawings:
        raise InputError(f"{source} holds no <alphabet>/<character>/<drawing>.png.")
    keys = sorted(drawings)
    shapes = {(len(drawings[key]), *drawings[key][0].shape) for key in keys}
    if len(shapes) > 1 or len({d.shape for key in keys for d in drawings[key]}) > 1:
        raise InputError(f"{source} has characters of differing numbers or sizes of drawings.")
    names = tuple(sorted({alphabet for alphabet, _ in keys}))
    return Omniglot(
        np.stack([np.stack(drawings[key]) for key in keys]),
        tuple(f"{alphabet}/{character}" for alphabet, character in keys),
        np.array([names.index(alphabet) for alphabet, _ in keys]),
        names,
    )


def _files(source: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Every drawing's path and bytes, sorted, so that drawing ``k`` is by drawer ``k``."""
    if source.is_dir():
        for path in sorted(source.glob("*/*/*.png")):
            if not path.name.startswith("."):
                yield PurePosixPath(path.as_posix()), path.read_bytes()
        return
    with zipfile.ZipFile(source) as archive:
        for name in sorted(archive.namelist()):
            path = PurePosixPath(name)
            hidden = path.name.startswith(".") or "__MACOSX" in path.parts
            if path.suffix == ".png" and len(path.parts) >= 3 and not hidden:
                yield path, archive.read(name)


def _keep(data: Omniglot, path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        # One bit a pixel: Omniglot is black and white, and 8 times less is read back.
        ink=np.packbits(data.images < 128, axis=-1),
        width=data.images.shape[-1],
        classes=np.array(data.classes),
        alphabets=data.alphabets,
        alphabet_names=np.array(data.alphabet_names),
    )
    write_atomically(path, buffer.getvalue())


def _unpack(path: Path) -> Omniglot:
    with np.load(path, allow_pickle=False) as kept:
        ink = np.unpackbits(kept["ink"], axis=-1, count=int(kept["width"]))
        return Omniglot(
            255 * (1 - ink),  # stays uint8
            tuple(kept["classes"].tolist()),
            kept["alphabets"],
            tuple(kept["alphabet_names"].tolist()),
        )
