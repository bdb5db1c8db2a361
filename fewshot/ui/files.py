"""Files the page hands out: pictures for galleries, results to download, thumbnails in place."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gradio.utils import get_upload_folder
from PIL import Image

from fewshot.types import Picture

THUMBNAIL = 128  # pixels a side


class _Kept(set):
    """Paths of files; going through them forgets those that are gone.

    One thread may add some while another goes through them.
    """

    def __iter__(self) -> Iterator[str]:
        every = tuple(super().__iter__())
        gone = {path for path in every if not Path(path).exists()}
        self.difference_update(gone)
        return iter([path for path in every if path not in gone])


# Every file written here. Gradio's own lists of what it is to delete lack those that a gallery was
# given after an event had updated it without a new value.
KEPT = _Kept()


def kept_file(name: str, data: bytes) -> str:
    """Write bytes to Gradio's cache, which serves them and deletes them when they are old.

    Args:
        name: the file's name, or a path whose last part is.
        data: its content.

    Returns:
        Its path; the same content under the same name is written once.
    """
    return kept_stream(name, lambda file: file.write(data))


def kept_stream(name: str, write: Callable[[BinaryIO], object]) -> str:
    """As :func:`kept_file`, for content too large to hold.

    Args:
        name: the file's name, or a path whose last part is.
        write: writes the content to a file that is empty.
    """
    uploads = Path(get_upload_folder())
    uploads.mkdir(parents=True, exist_ok=True)
    part = uploads / f".{os.urandom(8).hex()}"
    try:
        with part.open("w+b") as file:
            write(file)
            file.seek(0)
            content = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=32))
        path = uploads / content.hexdigest() / _safe(name)
        path.parent.mkdir(exist_ok=True)
        part.replace(path)  # so that nobody is served half a file; its age starts anew
    finally:
        part.unlink(missing_ok=True)
    KEPT.add(str(path))
    return str(path)


def forget_oldest(name: str, most: int) -> None:
    """Delete kept files of a name, the oldest first, until they have at most so many bytes."""
    found = []
    for path in map(Path, KEPT):
        if path.name == name:
            with contextlib.suppress(OSError):  # gone meanwhile
                found.append((path.stat().st_mtime, path.stat().st_size, path))
    left = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if left <= most:
            break
        path.unlink(missing_ok=True)
        left -= size


def kept_picture(picture: Picture) -> str:
    """A picture as a PNG in Gradio's cache: its path, under the picture's own file name."""
    return kept_file(f"{Path(picture.name).stem}.png", _png(picture))


def thumbnail(picture: Picture) -> str:
    """A ``data:`` URL of the picture, at most ``THUMBNAIL`` pixels a side."""
    small = Image.fromarray(picture.pixels)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _png(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture.pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _safe(name: str) -> str:
    """A file name of the last part of a path, without what file systems or browsers dislike.

    It keeps its ending, by which Gradio tells pictures: of “♥.png” nothing else is left.
    """
    stem, ending = (
        "".join(c for c in part if c.isalnum() or c in "._- ")
        for part in (Path(name).stem, Path(name).suffix)
    )
    # 60 characters are at most 240 bytes, and no ending has twenty.
    return (stem.strip(". ")[-40:] or "picture") + ending.rstrip(". ")[:20]
