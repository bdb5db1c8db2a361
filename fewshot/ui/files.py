"""Files the page hands out: pictures for galleries, results to download, thumbnails in place."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image

from fewshot.types import Picture

THUMBNAIL = 128  # pixels a side


def kept_file(name: str, data: bytes) -> str:
    """Write bytes to Gradio's cache, which serves them and deletes them when they are old.

    Args:
        name: the file's name, or a path whose last part is.
        data: its content.

    Returns:
        Its path; the same content under the same name is written once.
    """
    folder = Path(get_upload_folder()) / hashlib.blake2b(data, digest_size=32).hexdigest()
    path = folder / _safe(name)
    if path.exists():
        os.utime(path)  # in use again: start its age anew
        return str(path)
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.urandom(8).hex()}")
    part.write_bytes(data)
    part.replace(path)  # so that nobody is served half a file
    return str(path)


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
