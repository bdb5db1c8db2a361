"""Any data set that lies as one folder per class, or a zip of such."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.class_folders import ClassFolders, read_class_folders
from fewshot.class_names import quoted
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
        raise InputError(f"There is no data set at {path}: check the path.")
    folders = read_class_folders(path, limited=False)
    if len(folders.classes) < 2:
        raise InputError(f"{path} has {len(folders.classes)} class folder; at least 2 are needed.")
    return pool_of(folders)


def pool_of(folders: ClassFolders) -> tuple[Pool, tuple[str, ...]]:
    """Folders as a pool, each picture once.

    The same pixels twice would be shown and asked in one episode.

    Returns:
        The pool, and a sentence for each file and each class that was left out.

    Raises:
        InputError: fewer than two classes have pictures of their own.
    """
    pictures, labels, skipped = [], [], list(folders.skipped)
    first: dict[str, str] = {}
    for label, (_, members) in enumerate(folders.classes):
        for picture in members:
            if (known := first.get(picture.digest)) is None:
                first[picture.digest] = picture.name
                pictures.append(picture)
                labels.append(label)
            else:  # whose name may be the same, too: a zip can hold a name twice
                skipped.append(f"{quoted(picture.name)} is the same picture as {quoted(known)}.")
    names = [name for name, _ in folders.classes]
    left, labels = np.unique(np.array(labels, dtype=np.int64), return_inverse=True)
    for label in sorted(set(range(len(names))) - set(left.tolist())):
        skipped.append(f"{quoted(names[label])} makes no class: its pictures are all others' too.")
    if len(left) < 2:
        raise InputError(
            f"Each picture counts once, and of {len(names)} classes only {quoted(names[left[0]])} "
            "is left with any: at least 2 are needed."
        )
    return Pool(pictures, labels, tuple(names[label] for label in left)), tuple(skipped)
