"""Where downloads and prepared arrays are kept: the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Literal

import numpy as np

from fewshot.types import InputError


def cache_folder() -> Path:
    """``$FEWSHOT_CACHE``, else ``fewshot`` under ``$XDG_CACHE_HOME`` or ``~/.cache``; created.

    Raises:
        InputError: it cannot be.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("FEWSHOT_CACHE") or Path(base) / "fewshot")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The cache folder {folder} cannot be made ({error.strerror}): name another in "
            "FEWSHOT_CACHE."
        ) from error
    return folder


def load_array(path: Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray | None:
    """An array kept in the cache, now the last to go; None where there is none, or half of one."""
    try:
        array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    with contextlib.suppress(OSError):  # a cache that may only be read
        os.utime(path)
    return array


def content_key(path: Path) -> str:
    """Hash that changes when a file's bytes, or a folder's listing, change.

    A zip is hashed whole. A folder of thousands of small files is identified by every file's
    name, size and modification time, since reading them all is what the cache is to save; links to
    folders are followed, as whoever reads the folder does.
    """
    digest = hashlib.blake2b(digest_size=16)
    if path.is_file():
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    for folder, subfolders, files in os.walk(path, followlinks=True):
        here = os.path.realpath(folder)
        subfolders[:] = sorted(name for name in subfolders if not _leads_up(folder, name, here))
        for name in sorted(files):
            with contextlib.suppress(OSError):  # a link to nothing is nothing
                status = (Path(folder) / name).stat()
                relative = os.fsencode(os.path.relpath(Path(folder) / name, path))
                digest.update(relative + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _leads_up(folder: str, name: str, here: str) -> bool:
    """Whether a subfolder is a link to a folder that it lies in, and would be walked for ever."""
    real = os.path.realpath(Path(folder) / name)
    return os.path.commonpath([real, here]) == real


def make_room(pattern: str, size: int, budget: int) -> None:
    """Delete the longest unused of the cache's files of a kind before ``size`` bytes are added.

    Args:
        pattern: of their names.
        size: of what is to be written.
        budget: bytes that all of them may take.
    """
    kept = []
    for path in cache_folder().glob(pattern):
        with contextlib.suppress(FileNotFoundError):  # another process made room
            status = path.stat()
            kept.append((status.st_mtime_ns, status.st_size, path))
    for _, taken, path in sorted(kept, reverse=True):
        size += taken
        if size > budget:
            path.unlink(missing_ok=True)
