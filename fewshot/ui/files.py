"""Files the page hands out: pictures for galleries, results to download, thumbnails in place."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gradio.utils import get_upload_folder
from PIL import Image

from fewshot.class_names import quoted
from fewshot.types import InputError, Picture

THUMBNAIL = 128  # pixels a side


def kept_file(name: str, data: bytes) -> str:
    """Write bytes to Gradio's cache, which it serves and :mod:`fewshot.ui.uploads` sweeps.

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
    return str(path)


def is_kept(path: str) -> bool:
    """Whether this is the path of a file in the folder for visitors' files."""
    try:
        found = Path(path).resolve()
        return found.is_relative_to(Path(get_upload_folder()).resolve()) and found.is_file()
    except (OSError, ValueError):  # no path at all
        return False


def check_kept(paths: Iterable[str]) -> None:
    """Raise InputError for the first file that is no longer there."""
    for path in map(Path, paths):
        if not path.is_file():
            raise InputError(f"{quoted(path.name)} is no longer kept here: add it again.")


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
