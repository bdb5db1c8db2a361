"""Any data set that lies as one folder per class, or a zip of such."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.class_folders import read_class_folders
from fewshot.data.pool import Pool
from fewshot.types import InputError


def load_class_tree(path: Path) -> tuple[Pool, tuple[str, ...]]:
    """Read a tree or a zip of any size, unlike an upload.

    Returns:
        The pool, and a sentence for each file that was left out.

    Raises:
        InputError: it cannot be read, or has fewer than two classes.
    """
    if not path.exists():
        raise InputError(f"There is no data set at {path}.")
    folders = read_class_folders(path, limited=False)
    if len(folders.classes) < 2:
        raise InputError(f"{path} has {len(folders.classes)} class folder; at least 2 are needed.")
    pictures = [picture for _, members in folders.classes for picture in members]
    labels = np.arange(len(folders.classes)).repeat([len(m) for _, m in folders.classes])
    return Pool(pictures, labels, tuple(name for name, _ in folders.classes)), folders.skipped
