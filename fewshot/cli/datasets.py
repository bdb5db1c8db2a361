"""``--dataset``: what a command line may name, as a pool of pictures."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.types import InputError

if TYPE_CHECKING:
    from fewshot.data.pool import Pool
    from fewshot.episodes import Episodes


@dataclass(frozen=True)
class Dataset:
    """What was named.

    Attributes:
        pool: its pictures.
        fixed: its episodes, where it prescribes them.
        skipped: a sentence for each file that was left out.
    """

    pool: Pool
    fixed: Episodes | None = None
    skipped: tuple[str, ...] = ()


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """``--dataset``, ``--data`` and ``--split``."""
    parser.add_argument(
        "--dataset",
        default="omniglot",
        metavar="NAME|PATH",
        help="omniglot, lake, photos, or any folder or zip of class folders",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where it lies")
    parser.add_argument(
        "--split",
        choices=("evaluation", "background", "validation", "latin", "unseen", "unseen-validation"),
        default="evaluation",
        help="of Omniglot: evaluation, background, validation (the background alphabets kept out "
        "of training), latin (the background set's a to z, by name); of photos: evaluation and "
        "validation (classes kept out of training), unseen and unseen-validation (pictures kept "
        "out of training, of classes that were in it)",
    )


def load_dataset(arguments: argparse.Namespace) -> Dataset:
    """Read what those options name.

    Raises:
        InputError: it is not there, or has no such split.
    """
    from fewshot.data.class_tree import load_class_tree
    from fewshot.data.lake import load_lake
    from fewshot.data.omniglot import load_omniglot

    if arguments.dataset == "lake":
        if arguments.data is None:
            raise InputError("--dataset lake needs --data, the folder that holds run01 to run20.")
        return Dataset(*load_lake(arguments.data))
    if arguments.dataset == "photos":
        from fewshot.data.photos import load_photos, split_photos

        if arguments.data is None:
            raise InputError("--dataset photos needs --data, with photos.zip and classes.csv.")
        return Dataset(split_photos(load_photos(arguments.data), arguments.split).pool())
    if arguments.dataset != "omniglot":
        pool, skipped = load_class_tree(Path(arguments.dataset))
        return Dataset(pool, skipped=skipped)
    if arguments.split in ("evaluation", "background"):
        return Dataset(load_omniglot(arguments.split, arguments.data).pool())
    background = load_omniglot("background", arguments.data)
    if arguments.split == "latin":
        return Dataset(background.latin().pool())
    if arguments.split != "validation":
        raise InputError(f"Omniglot has no split “{arguments.split}”; photos have.")
    from fewshot.training.validation import held_out_characters

    return Dataset(held_out_characters(background).pool())
