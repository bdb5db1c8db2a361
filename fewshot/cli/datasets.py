"""``--dataset``: what a command line may name, as a pool of pictures."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.types import InputError

if TYPE_CHECKING:
    import numpy as np

    from fewshot.data.pool import Pool
    from fewshot.episodes import Episodes


_OF_SPLITS = ("omniglot", "photos")
# Names that are no paths.
DATASETS = (*_OF_SPLITS, "lake", "invented")


@dataclass(frozen=True)
class Dataset:
    """What was named.

    Attributes:
        pool: its pictures.
        fixed: its episodes, where it prescribes them.
        skipped: a sentence for each file that was left out.
        asked: ``(n,)`` bool, True for pictures that are queries alone, False for those that are
            supports alone; None where any may be either.
    """

    pool: Pool
    fixed: Episodes | None = None
    skipped: tuple[str, ...] = ()
    asked: np.ndarray | None = None


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """``--dataset``, ``--data`` and ``--split``."""
    parser.add_argument(
        "--dataset",
        default="omniglot",
        metavar="NAME|PATH",
        help="omniglot, lake, photos, invented (an alphabet that the project draws itself, on any "
        "machine), or any folder or zip of class folders",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where it lies")
    parser.add_argument(
        "--split",
        choices=("evaluation", "background", "validation", "latin", "unseen", "unseen-validation"),
        help="of Omniglot: evaluation (default), background, validation (the background alphabets "
        "kept out of training), latin (the background set's a to z, by name); of photos: "
        "evaluation (default) and validation (classes kept out of training), unseen and "
        "unseen-validation (pictures kept out of training, of classes that were in it)",
    )


def add_query_dataset(parser: argparse.ArgumentParser) -> None:
    """``--query-dataset`` and ``--query-data``."""
    parser.add_argument(
        "--query-dataset",
        metavar="NAME|PATH",
        help="take the queries from a second data set, and the supports alone from the first: "
        "omniglot, photos, or any folder or zip of class folders; classes are matched by name, and "
        "those that only one of the two has are left out",
    )
    parser.add_argument("--query-data", type=Path, metavar="DIR", help="where that one lies")


def load_domains(arguments: argparse.Namespace) -> Dataset:
    """Read the data set, and that of the queries where there is one of their own.

    Raises:
        InputError: one cannot be read, or they do not go together.
    """
    if arguments.query_dataset is None:
        if arguments.query_data is not None:
            raise InputError("--query-data says where --query-dataset lies: give that, too.")
        return load_dataset(arguments)
    if "lake" in (arguments.dataset, arguments.query_dataset):
        raise InputError("Lake's runs prescribe their own queries: they take no --query-dataset.")
    if 0 in arguments.shots:
        raise InputError("With --shots 0 nothing is shown: name one data set, by --dataset.")
    from fewshot.data.pool import two_domains

    places = [arguments.dataset, arguments.data], [arguments.query_dataset, arguments.query_data]
    of_splits = any(name in _OF_SPLITS for name, _ in places)
    shown, asked = (
        load_dataset(
            argparse.Namespace(
                dataset=name,
                data=data,
                # Where one of them has splits, it is meant for that one.
                split=arguments.split if name in _OF_SPLITS or not of_splits else None,
            )
        )
        for name, data in places
    )
    pool, of_queries, left_out = two_domains(shown.pool, asked.pool)
    return Dataset(pool, skipped=(*shown.skipped, *asked.skipped, *left_out), asked=of_queries)


def load_dataset(arguments: argparse.Namespace) -> Dataset:
    """Read what those options name.

    Raises:
        InputError: it is not there, or has no such split.
    """
    from fewshot.data.class_tree import load_class_tree
    from fewshot.data.lake import load_lake
    from fewshot.data.omniglot import held_out_characters, load_omniglot

    if arguments.split and arguments.dataset not in _OF_SPLITS:
        raise InputError(f"--split is of omniglot and photos: {arguments.dataset} has none.")
    split = arguments.split or "evaluation"
    if arguments.dataset == "lake":
        if arguments.data is None:
            raise InputError("--dataset lake needs --data, the folder that holds run01 to run20.")
        return Dataset(*load_lake(arguments.data))
    if arguments.dataset == "photos":
        from fewshot.data.photos import load_photos, split_photos

        if arguments.data is None:
            raise InputError("--dataset photos needs --data, with photos.zip and classes.csv.")
        return Dataset(split_photos(load_photos(arguments.data), split).pool())
    if arguments.dataset == "invented":
        from fewshot.data.invented import invented_alphabet

        return Dataset(invented_alphabet())
    if arguments.dataset != "omniglot":
        pool, skipped = load_class_tree(Path(arguments.dataset))
        return Dataset(pool, skipped=skipped)
    if split in ("evaluation", "background"):
        return Dataset(load_omniglot(split, arguments.data).pool())
    background = load_omniglot("background", arguments.data)
    if split == "latin":
        return Dataset(background.latin().pool())
    if split != "validation":
        raise InputError(f"Omniglot has no split “{split}”; photos have.")
    return Dataset(held_out_characters(background).pool())
