"""Seeded N-way K-shot episodes, drawn as arrays of indices into a labelled pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fewshot.types import InputError


@dataclass(frozen=True)
class Protocol:
    """How episodes are drawn.

    Attributes:
        ways: classes per episode.
        shots: support pictures per class.
        queries: query pictures per class.
        within_group: draw all classes of an episode from one group (an alphabet).
    """

    ways: int
    shots: int
    queries: int
    within_group: bool = False


@dataclass(frozen=True)
class Episode:
    """One task as indices into the pool; class ``i`` of the episode is ``classes[i]``.

    Attributes:
        classes: ``(ways,)`` pool class ids.
        support: ``(ways * shots,)`` pool indices, class by class.
        support_labels: ``(ways * shots,)`` labels in ``0..ways-1``.
        queries: ``(ways * queries,)`` pool indices, class by class.
        query_labels: ``(ways * queries,)`` labels in ``0..ways-1``.
    """

    classes: np.ndarray
    support: np.ndarray
    support_labels: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray


def draw_episodes(
    labels: np.ndarray,
    protocol: Protocol,
    episodes: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> Iterator[Episode]:
    """Draw ``episodes`` tasks; support and queries of an episode never share a picture.

    Args:
        labels: ``(n,)`` class id of every picture of the pool.
        protocol: ways, shots, queries.
        episodes: how many tasks.
        seed: episode ``i`` depends on ``(seed, i)`` alone, so a longer run begins with a
            shorter one's episodes.
        groups: group id of every class, indexed by class id; needed by ``within_group``.

    Raises:
        InputError: the pool cannot supply such an episode, with the numbers.
    """
    members = _members(labels)
    choices = _class_choices(members, protocol, groups)
    for number in range(episodes):
        rng = np.random.default_rng((seed, number))
        # Lake's within-alphabet test and ours give each alphabet the same weight.
        candidates = choices[rng.integers(len(choices))] if len(choices) > 1 else choices[0]
        yield _draw_episode(members, rng.permutation(candidates)[: protocol.ways], protocol, rng)


def names_episode(labels: np.ndarray) -> Episode:
    """No support at all: every picture of the pool is a query among all its classes."""
    nothing = np.zeros(0, dtype=np.int64)
    classes, query_labels = np.unique(labels, return_inverse=True)
    return Episode(classes, nothing, nothing, np.arange(len(labels)), query_labels)


def _members(labels: np.ndarray) -> dict[int, np.ndarray]:
    order = np.argsort(labels, kind="stable")
    ids, starts = np.unique(labels[order], return_index=True)
    return dict(zip(ids.tolist(), np.split(order, starts[1:]), strict=True))


def _class_choices(
    members: dict[int, np.ndarray], protocol: Protocol, groups: np.ndarray | None
) -> list[np.ndarray]:
    """The sets of classes an episode may be drawn from: one in all, or one a group."""
    if protocol.ways < 2 or protocol.shots < 1 or protocol.queries < 1:
        raise InputError(
            f"An episode needs at least 2 ways, 1 shot and 1 query, not {protocol.ways} ways, "
            f"{protocol.shots} shots and {protocol.queries} queries."
        )
    needed = protocol.shots + protocol.queries
    usable = np.array([c for c, pictures in members.items() if len(pictures) >= needed], dtype=int)
    if not protocol.within_group:
        choices = [usable]
    elif groups is None:
        raise InputError("Drawing within alphabets needs a data set whose classes have alphabets.")
    else:
        choices = [usable[groups[usable] == g] for g in np.unique(groups[usable])]
    largest = max((len(c) for c in choices), default=0)
    choices = [c for c in choices if len(c) >= protocol.ways]
    if not choices:
        where = "the largest alphabet" if protocol.within_group else "the data set"
        raise InputError(
            f"{protocol.ways}-way episodes with {needed} pictures a class need {protocol.ways} "
            f"such classes, and {where} has {largest}."
        )
    return choices


def _draw_episode(
    members: dict[int, np.ndarray], classes: np.ndarray, protocol: Protocol, rng
) -> Episode:
    needed = protocol.shots + protocol.queries
    drawn = np.stack([rng.permutation(members[c])[:needed] for c in classes.tolist()])
    ways = np.arange(protocol.ways)
    return Episode(
        classes=classes,
        support=drawn[:, : protocol.shots].ravel(),
        support_labels=ways.repeat(protocol.shots),
        queries=drawn[:, protocol.shots :].ravel(),
        query_labels=ways.repeat(protocol.queries),
    )
