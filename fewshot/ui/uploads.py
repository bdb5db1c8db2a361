"""The folder that visitors' files lie in: no other user's to read, kept small, gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

DAY = 86_400
MINUTE = 60
MB = 2**20
# Ten of the largest zips that are made here, and less than half of a small Space's disk.
MOST_BYTES = 20_000 * MB
# What is to stay free on the disk, if more than that lies here: the next such zip.
SPARE_BYTES = 2_000 * MB
# Too much or not, a visitor is likely still at work with it.
YOUNG = 10 * MINUTE
_TINY = 8_192  # bytes that the smallest file takes, with its folder
_PREFIX = "fewshot-uploads-"


def own_folder() -> tempfile.TemporaryDirectory:
    """Make a folder that this user alone can read, and that goes as its context ends.

    It lies in ``$GRADIO_TEMP_DIR``, else where temporary files do, and becomes that variable, which
    Gradio reads as it is imported. Gradio's own default is one folder for all users of a machine.

    Raises:
        OSError: there can be none.
    """
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()).resolve()
    parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    return folder


def sweep_forever(folder: Path, noted: Iterable[set[str]]) -> NoReturn:
    """Sweep a folder each minute.

    Args:
        folder: of :func:`own_folder`.
        noted: paths that Gradio notes for a deletion of its own and that would never be fewer. It
            is not asked for: it ends for good at the first path that no file can have.
    """
    while True:
        with contextlib.suppress(OSError):
            sweep(folder)
        for paths in noted:
            paths.clear()
        time.sleep(MINUTE)


def sweep(folder: Path) -> None:
    """Delete files that are a day old, and the oldest of those that are too much.

    Beside it, delete the folders of processes that were killed: none has been swept for a day.

    Args:
        folder: of :func:`own_folder`.
    """
    now = time.time()
    os.utime(folder, (now, now))
    for other in folder.parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's
            if now - other.stat().st_mtime > DAY:
                shutil.rmtree(other)
    found = []
    for where, _, names in os.walk(folder):
        for path in (Path(where, name) for name in names):
            with contextlib.suppress(OSError):  # gone meanwhile
                status = path.lstat()
                found.append((status.st_ctime, status.st_size + _TINY, path))
    total = sum(size for _, size, _ in found)
    room = max(SPARE_BYTES, total + shutil.disk_usage(folder).free - SPARE_BYTES)
    for changed, size, path in sorted(found):
        age = now - changed
        if age > DAY or total > room or (total > MOST_BYTES and age > YOUNG):
            with contextlib.suppress(OSError):
                if path.lstat().st_ctime != changed:
                    continue  # somebody was just given it anew
                path.unlink()
                total -= size
                if path.parent != folder:
                    path.parent.rmdir()  # unless there is more in it
