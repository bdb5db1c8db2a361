"""A labelled set of pictures to draw episodes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.types import InputError, Picture

# Classes named in a sentence; of more, only the number is said.
NAMED = 3


@dataclass(frozen=True)
class Pool:
    """Pictures with labels.

    Attributes:
        pictures: ``n`` pictures.
        labels: ``(n,)`` int64 class ids.
        classes: class names by id.
        groups: ``(n_classes,)`` group id of each class (its alphabet), or None.
        group_names: group names by id.
    """

    pictures: Sequence[Picture]
    labels: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None = None
    group_names: tuple[str, ...] = ()


def two_domains(shown: Pool, asked: Pool) -> tuple[Pool, np.ndarray, tuple[str, ...]]:
    """One pool of two, whose classes are those that both have by name.

    Args:
        shown: supports come from here; so do groups and the order of the classes.
        asked: queries come from here.

    Returns:
        The pool; ``(n,)`` bool, True for the pictures of ``asked``; and a sentence for whatever
        was left out: classes that one of them lacks, and queries that are supports' pictures, too.

    Raises:
        InputError: no class, or no picture, is left.
    """
    others = set(asked.classes)
    common = [name for name in shown.classes if name in others]
    if not common:
        raise InputError(
            "The two data sets have no class name in common (the supports’ first is "
            f"“{shown.classes[0]}”, the queries’ “{asked.classes[0]}”): name the classes alike."
        )
    supports = _members(shown, common)
    known = {shown.pictures[i].digest for i, _ in supports}
    members = _members(asked, common)
    queries = [(i, c) for i, c in members if asked.pictures[i].digest not in known]
    if not queries:
        raise InputError("The two data sets hold the same pictures: queries need others.")
    left_out = [
        *_alone(shown, common, "supports"),
        *_alone(asked, common, "queries"),
    ]
    if n_known := len(members) - len(queries):
        left_out.append(f"Pictures of the queries that are supports’, too: {n_known}, left out.")
    pictures = [shown.pictures[i] for i, _ in supports] + [asked.pictures[i] for i, _ in queries]
    labels = np.array([c for _, c in supports + queries], dtype=np.int64)
    groups = shown.groups
    if groups is not None:
        places = {name: c for c, name in enumerate(shown.classes)}
        groups = groups[[places[name] for name in common]]
    pool = Pool(pictures, labels, tuple(common), groups, shown.group_names)
    return pool, np.arange(len(labels)) >= len(supports), tuple(left_out)


def _members(pool: Pool, common: list[str]) -> list[tuple[int, int]]:
    """Index and new class id of every picture of those classes."""
    ids = {name: c for c, name in enumerate(common)}
    names = (pool.classes[label] for label in pool.labels)
    return [(i, ids[name]) for i, name in enumerate(names) if name in ids]


def _alone(pool: Pool, common: list[str], whose: str) -> list[str]:
    """A sentence on the classes that the other data set lacks, if there are any."""
    known = set(common)
    alone = [name for name in pool.classes if name not in known]
    if not alone:
        return []
    named = ", ".join(alone[:NAMED]) + (" …" if len(alone) > NAMED else "")
    return [f"Classes that only the {whose}’ data set has: {len(alone)}, left out ({named})."]
