"""Photos by class, with the classes' names: what the embedded CLIP learns nouns from."""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from fewshot.data.cache import cache_folder, content_key, load_array
from fewshot.data.pool import Pool
from fewshot.types import InputError, Picture

SIDE = 64
# Whole classes kept out of training: to choose by, and to report.
VALIDATION_CLASSES, EVALUATION_CLASSES = 10, 20
# Pictures of every other class kept out of training, for zero-shot: the same two uses.
VALIDATION_PICTURES, EVALUATION_PICTURES = 25, 25
SPLITS = ("training", "validation", "evaluation", "unseen-validation", "unseen")


@dataclass(frozen=True)
class Photos:
    """Photos of one size.

    Attributes:
        images: ``(classes, n, SIDE, SIDE, 3)`` uint8 RGB.
        names: each class's names, the first the most usual.
    """

    images: np.ndarray
    names: tuple[tuple[str, ...], ...]

    def pool(self) -> Pool:
        """As pictures with labels, each class by its first name."""
        n_classes, n = self.images.shape[:2]
        pictures = [
            Picture(f"{names[0]}/{i}", self.images[c, i])
            for c, names in enumerate(self.names)
            for i in range(n)
        ]
        classes = tuple(names[0] for names in self.names)
        return Pool(pictures, np.arange(n_classes).repeat(n), classes)


def load_photos(folder: Path) -> Photos:
    """Read ``photos.zip`` and ``classes.csv``, from the user's cache after the first time.

    Args:
        folder: holds both. The CSV has the columns ``wnid`` and ``names``, synonyms parted by
            commas; the zip has ``photos/<wnid>/<file>``, as many for each class.

    Raises:
        InputError: either is missing or is not like that.
    """
    archive, table = folder / "photos.zip", folder / "classes.csv"
    for path in (archive, table):
        if not path.is_file():
            raise InputError(
                f"There is no {path.name} in {folder}: name a folder that holds photos.zip, with "
                "photos/<wnid>/<file>, and classes.csv, with the columns wnid and names."
            )
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        names = {row["wnid"]: tuple(n.strip() for n in row["names"].split(",")) for row in rows}
        ",".join(names)  # a row may be too short for a column
    except (KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{table} needs wnid and names, as columns and in every row.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} is not CSV in UTF-8: save it as that.") from error
    if not names:
        raise InputError(f"{table} lists no class.")
    # The rows follow the table, so which classes it has, and in what order, is part of the key.
    listed = hashlib.blake2b("\n".join(names).encode(), digest_size=8).hexdigest()
    kept = cache_folder() / f"photos-{content_key(archive)}-{listed}.npy"
    # Mapped, not read: a split's classes are all that is wanted at a time.
    images = load_array(kept, "r")
    if images is None:
        _decode_to(kept, archive, list(names))
        images = np.load(kept, mmap_mode="r", allow_pickle=False)
    return Photos(images, tuple(names.values()))


def split_photos(photos: Photos, split: str) -> Photos:
    """One of :data:`SPLITS`.

    "training" has most pictures of most classes, "unseen-validation" and "unseen" other pictures
    of the same classes, "validation" and "evaluation" whole classes of their own.

    Raises:
        InputError: there is no such split, or too few classes or photos of each to have it.
    """
    n_classes, n = photos.images.shape[:2]
    if n_classes <= VALIDATION_CLASSES + EVALUATION_CLASSES:
        raise InputError(
            f"The photos have {n_classes} classes, of which {VALIDATION_CLASSES} are for "
            f"validation and {EVALUATION_CLASSES} for evaluation: give more."
        )
    if n <= VALIDATION_PICTURES + EVALUATION_PICTURES and split not in ("validation", "evaluation"):
        raise InputError(
            f"There are {n} photos of each class, of which {VALIDATION_PICTURES} are for "
            f"validation and {EVALUATION_PICTURES} for evaluation: give more."
        )
    # By a fixed seed, whatever a run's own: all runs are compared on the same pictures.
    order = np.random.default_rng(0).permutation(n_classes)
    first = {"validation": 0, "evaluation": VALIDATION_CLASSES}
    last = {"validation": VALIDATION_CLASSES, "evaluation": VALIDATION_CLASSES + EVALUATION_CLASSES}
    if split in first:
        chosen, pictures = order[first[split] : last[split]], slice(None)
    elif split in SPLITS:
        chosen = order[VALIDATION_CLASSES + EVALUATION_CLASSES :]
        kept = n - VALIDATION_PICTURES - EVALUATION_PICTURES
        pictures = {
            "training": slice(0, kept),
            "unseen-validation": slice(kept, kept + VALIDATION_PICTURES),
            "unseen": slice(kept + VALIDATION_PICTURES, n),
        }[split]
    else:
        raise InputError(f"There is no split “{split}” of the photos: choose {', '.join(SPLITS)}.")
    chosen = np.sort(chosen)
    return Photos(photos.images[chosen, pictures], tuple(photos.names[c] for c in chosen))


def _decode_to(kept: Path, archive: Path, wnids: list[str]) -> None:
    """Decode every photo, straight into the cached file: they are a gigabyte."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened, wnids)
            shape = (len(wnids), len(members[0]), SIDE, SIDE, 3)
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                part = Path(folder) / kept.name
                images = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
                for c, files in enumerate(members):
                    images[c] = np.stack([_decoded(opened.read(file)) for file in files])
                images.flush()
                part.replace(kept)
    except InputError:
        raise
    # zipfile, zlib and Pillow let all kinds escape on damaged bytes.
    except Exception as error:
        raise InputError(f"{archive} cannot be read as photos by class ({error}).") from error


def _members(archive: zipfile.ZipFile, wnids: list[str]) -> list[list[str]]:
    """Each class's files, cut to as many as the smallest class has."""
    by_class: dict[str, list[str]] = {wnid: [] for wnid in wnids}
    for name in _files(archive):
        wnid = Path(name).parent.name
        if wnid in by_class:
            by_class[wnid].append(name)
    fewest = min(map(len, by_class.values()))
    if not fewest:
        raise ValueError("a class of classes.csv has no photos")
    return [sorted(files)[:fewest] for files in by_class.values()]


def _files(archive: zipfile.ZipFile) -> Iterator[str]:
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename)
        if not (entry.is_dir() or path.name.startswith(".") or "__MACOSX" in path.parts):
            yield entry.filename


def _decoded(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(image if image.size == (SIDE, SIDE) else image.resize((SIDE, SIDE)))
