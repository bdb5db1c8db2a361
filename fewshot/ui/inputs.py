"""From what the page holds (names, galleries, zips, drawings) to pictures and support sets."""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from fewshot import images
from fewshot.class_folders import ClassFolders, class_folders_in_steps
from fewshot.class_names import class_name, quoted, visible
from fewshot.content_cache import ContentCache
from fewshot.types import InputError, Picture, SupportSet
from fewshot.ui import files
from fewshot.ui.engine import Step

MAX_CLASSES = 100  # of an imported zip
MAX_DESCRIPTION = 200  # characters: CLIP reads some 50 words
MAX_QUERIES = 500  # in one go: their table is sent to the browser whole
READING = "Reading the pictures"
# Seconds of reading until it is told of and a Stop can take hold. Of what is read sooner nothing is
# told, so that the first Step is of the engine, which may take long to wake.
PAUSE_EVERY = 0.25

# Zips that are read at once, into up to 1.5 GB each, whoever asks for them.
_READING = threading.BoundedSemaphore(2)

# By path, as files in Gradio's cache lie in folders named by their content's hash. Decoded pictures
# have no side above images.KEPT_SIDE: 1 GB is some 1,800 photos of 4:3 (0.6 MB each) or 1,360
# square ones, of all visitors. Of a longer list nothing is found when it is gone through again.
_PICTURES = ContentCache(2**30, attrgetter("pixels.nbytes"))


def _pixel_bytes(folders: ClassFolders) -> int:
    return sum(picture.pixels.nbytes for _, pictures in folders.classes for picture in pictures)


# By path, too. 2 GB: one zip at all limits (1.5 GB), or several as people have them. A visitor's
# state holds its path, not its pixels: a zip is read again when asked for after others.
_ZIPS = ContentCache(2 * 2**30, _pixel_bytes)

# A gallery's value: (path, caption) for each picture, or None when it is empty.
Gallery = Sequence[tuple[str, str | None]] | None
_DATA_URL = "data:image/png;base64,"
T = TypeVar("T")


def in_steps(reading: Iterable[float | T]) -> Generator[Step, None, T]:
    """What a reading comes to, which tells its share until then: a Step of it now and then."""
    told = time.monotonic()
    for share in reading:
        if not isinstance(share, float):
            return share
        if time.monotonic() - told >= PAUSE_EVERY:
            yield Step(share, READING)
            told = time.monotonic()


def reading_first(
    reading: Generator[Step, None, T], work: Callable[[T], Iterable[Step | Any]]
) -> Iterator[Step | tuple[T, Any]]:
    """The Steps of a reading and of the work on what was read, and at last both results.

    In one, so that a Stop ends the reading as well, and its time counts as the run's.
    """
    found = yield from reading
    for step in work(found):
        yield step if isinstance(step, Step) else (found, step)


def reading_slots(
    names: Sequence[str | None],
    galleries: Sequence[Gallery],
    descriptions: Sequence[str | None],
) -> Iterator[float | SupportSet]:
    """Read the class slots; an empty one is left out.

    Args:
        names: as typed, one for each slot.
        galleries: each slot's pictures.
        descriptions: as typed, one for each slot.

    Yields:
        The share read before each picture, and at last the support set, in which a picture is
        called ``class name/file name``.

    Raises:
        InputError: pictures or a description without a name, a description that is too long, a
            picture that cannot be read, or whatever :func:`fewshot.images.support_set` refuses.
    """
    total, done = sum(len(paths(gallery)) for gallery in galleries), 0
    images.check_picture_count(total)
    images.check_set_size([Path(path) for gallery in galleries for path in paths(gallery)])
    classes, described = [], []
    slots = zip(names, galleries, descriptions, strict=True)
    for number, (text, gallery, more) in enumerate(slots, start=1):
        description = visible(more or "")
        if not (text or "").strip():
            if not gallery and not description:
                continue
            what = "pictures" if gallery else "a description"
            raise InputError(f"Class {number} has {what} but no name: type one above.")
        name = class_name(text)
        pictures = []
        for path in paths(gallery):
            yield done / total
            done += 1
            pictures.append(named(read_file(path), f"{name}/{Path(path).name}"))
        if len(description) > MAX_DESCRIPTION:
            raise InputError(
                f"The description of {quoted(name)} has {len(description)} characters: keep "
                f"to {MAX_DESCRIPTION}."
            )
        classes.append((name, pictures))
        described.append(description)
    if not classes:
        raise InputError(
            "There are no classes yet: name at least two and add a picture to each, or try an "
            "example."
        )
    support = images.support_set(classes)
    yield replace(support, descriptions=tuple(described)) if any(described) else support


def reading_queries(
    gallery: Gallery, where: str = "under “Ask”", most: int = MAX_QUERIES
) -> Iterator[float | list[Picture]]:
    """Read the query pictures.

    Args:
        gallery: that holds them.
        where: it is on the page.
        most: pictures that are taken.

    Yields:
        The share read before each, and at last all of them.

    Raises:
        InputError: none, too many, or one that cannot be read.
    """
    found = paths(gallery)
    if not found:
        raise InputError(f"There is no picture to classify: upload or draw one {where}.")
    check_query_count(len(found), most)
    images.check_work([Path(path) for path in found])
    pictures: list[Picture] = []
    for path in found:
        yield len(pictures) / len(found)
        pictures.append(read_file(path))
    yield pictures


def check_query_count(count: int, most: int = MAX_QUERIES) -> None:
    """Raise InputError for more queries than one answer should hold."""
    if count > most:
        raise InputError(
            f"{count:,} query pictures are too many at once: leave out {count - most:,} to "
            f"come down to {most:,}."
        )


def checked(gallery: Gallery) -> tuple[dict[str, str | None], list[str]]:
    """Try an upload's pictures.

    Returns:
        By path, None for those that cannot be read, and the path of a PNG of the same pixels for a
        TIFF, which browsers do not show; and one sentence for each that cannot be read.

    Raises:
        InputError: looking at all of them would take minutes, or they are too many.
    """
    verdict: dict[str, str | None] = {}
    refused = []
    found = paths(gallery)
    if (more := len(found) - images.MAX_SET_PICTURES) > 0:
        raise InputError(
            f"{len(found):,} pictures are too many: leave out {more:,} to come down to "
            f"{images.MAX_SET_PICTURES:,}."
        )
    images.check_work([Path(path) for path in found])
    for path in found:
        try:
            _check_readable(path)
            if Path(path).suffix.lower() in (".tif", ".tiff"):
                verdict[path] = files.kept_picture(read_file(path))
        except InputError as error:
            verdict[path] = None
            refused.append(str(error))
    return verdict, refused


def paths(gallery: Gallery) -> list[str]:
    """The files of a gallery."""
    return [path for path, _ in gallery or ()]


def read_file(path: str) -> Picture:
    """The picture in a file of Gradio's cache, named as its file."""
    return _PICTURES.get([path], lambda _: [images.decode(Path(path), Path(path).name)])[0]


# That one can be read is remembered longer than its pixels, as a gallery is looked at again with
# each upload; that one cannot is not: it may be uploaded anew.
@functools.lru_cache(maxsize=4096)
def _check_readable(path: str) -> None:
    read_file(path)


def read_folders(path: Path) -> ClassFolders:
    """What :func:`fewshot.class_folders.read_class_folders` reads, few at a time."""
    *_, found = reading_folders(path)
    return found


def reading_folders(path: Path) -> Iterator[float | ClassFolders]:
    """What :func:`read_folders` does: the share read before each picture, then all."""
    found = _ZIPS.find(path)
    if found is None:
        while not _READING.acquire(timeout=PAUSE_EVERY):
            yield 0.0
        try:
            for found in class_folders_in_steps(path):
                if isinstance(found, float):
                    yield found
        finally:
            _READING.release()
        _ZIPS.keep(path, found)
    yield found


def read_zip(path: str) -> ClassFolders:
    """The classes of an uploaded zip.

    Raises:
        InputError: as :func:`fewshot.class_folders.read_class_folders`, or too many classes.
    """
    *_, found = reading_zip(path)
    return found


def reading_zip(path: str) -> Iterator[float | ClassFolders]:
    """What :func:`read_zip` does: the share read before each picture, then all."""
    for found in reading_folders(Path(path)):
        if isinstance(found, ClassFolders) and len(found.classes) > MAX_CLASSES:
            raise InputError(
                f"{quoted(Path(path).name)} has {len(found.classes)} classes and at most "
                f"{MAX_CLASSES} are accepted here: leave some out."
            )
        yield found


def read_ahead(path: str) -> None:
    """Read a zip that is about to be asked for; what is wrong with it is told then."""
    with contextlib.suppress(Exception):
        read_zip(path)


def drawing(data_url: str | None, number: int) -> Picture:
    """What a drawing pad sends.

    Args:
        data_url: a PNG as a ``data:`` URL.
        number: for its name, ``drawing-1.png`` and so on.

    Raises:
        InputError: it is nothing of the kind.
    """
    try:
        if not (data_url or "").startswith(_DATA_URL):
            raise ValueError("no PNG")
        data = base64.b64decode(data_url.removeprefix(_DATA_URL), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("The drawing did not arrive whole: draw it again.") from error
    return images.decode(data, f"drawing-{number}.png")


def named(picture: Picture, name: str) -> Picture:
    """The same pixels under another name."""
    return Picture(name, picture.pixels)
