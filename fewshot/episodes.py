"""Seeded N-way K-shot episodes, drawn hundreds at a time as arrays of indices into a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.types import InputError

# Episodes drawn together, and evaluated together: enough to fill the processor.
EPISODES_AT_ONCE = 256
# Random numbers drawn at once: bounds memory where classes or their pictures are many.
NUMBERS_AT_ONCE = 2**21


@dataclass(frozen=True)
class Protocol:
    """How episodes are drawn.

    Attributes:
        ways: classes per episode.
        shots: support pictures per class; two numbers let each class of an episode have some
            number from the first to the second.
        queries: query pictures per class.
        within_group: draw all classes of an episode from one group (an alphabet).
    """

    ways: int
    shots: int | tuple[int, int]
    queries: int
    within_group: bool = False

    @property
    def shot_range(self) -> tuple[int, int]:
        """Fewest and most shots."""
        return self.shots if isinstance(self.shots, tuple) else (self.shots, self.shots)


@dataclass(frozen=True)
class Episode:
    """One task as indices into the pool; class ``i`` of the episode is ``classes[i]``.

    Attributes:
        classes: ``(ways,)`` pool class ids.
        support: ``(n,)`` pool indices, class by class.
        support_labels: ``(n,)`` labels in ``0..ways-1``.
        queries: ``(q,)`` pool indices.
        query_labels: ``(q,)`` labels in ``0..ways-1``.
    """

    classes: np.ndarray
    support: np.ndarray
    support_labels: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray


@dataclass(frozen=True)
class EpisodeBatch:
    """``e`` tasks of one shape, their labels in one order.

    Attributes:
        classes: ``(e, ways)`` pool class ids.
        support: ``(e, n)`` pool indices, class by class.
        support_labels: ``(n,)`` labels in ``0..ways-1``, the same for every task.
        queries: ``(e, q)`` pool indices.
        query_labels: ``(q,)`` labels in ``0..ways-1``, the same for every task.
    """

    classes: np.ndarray
    support: np.ndarray
    support_labels: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, number: int) -> Episode:
        return Episode(
            self.classes[number],
            self.support[number],
            self.support_labels,
            self.queries[number],
            self.query_labels,
        )

    def part(self, some: slice) -> EpisodeBatch:
        """Some of the tasks."""
        return EpisodeBatch(
            self.classes[some],
            self.support[some],
            self.support_labels,
            self.queries[some],
            self.query_labels,
        )


@dataclass(frozen=True)
class Episodes:
    """Tasks, drawn anew each time they are gone through: a hundred thousand take no memory.

    Attributes:
        count: how many.
        batches: the tasks from the first, in batches of any sizes.
    """

    count: int
    batches: Callable[[], Iterator[EpisodeBatch]]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Episode]:
        for batch in self.batches():
            yield from (batch[number] for number in range(len(batch)))

    @classmethod
    def of(cls, batches: Sequence[EpisodeBatch]) -> Episodes:
        """Tasks that a data set prescribes."""
        return cls(sum(len(batch) for batch in batches), lambda: iter(batches))

    def in_portions(self, size: int) -> Episodes:
        """The same tasks, at most ``size`` of them in a batch."""

        def batches() -> Iterator[EpisodeBatch]:
            for batch in self.batches():
                for start in range(0, len(batch), size):
                    yield batch.part(slice(start, start + size))

        return Episodes(self.count, batches)

    def changed(self, change: Callable[[EpisodeBatch], EpisodeBatch]) -> Episodes:
        """The same number of tasks, each batch changed."""
        return Episodes(self.count, lambda: map(change, self.batches()))


def draw_episodes(
    labels: np.ndarray,
    protocol: Protocol,
    episodes: int,
    seed: int,
    groups: np.ndarray | None = None,
    asked: np.ndarray | None = None,
) -> Episodes:
    """Draw ``episodes`` tasks; support and queries of a task never share a picture.

    Args:
        labels: ``(n,)`` class id of every picture of the pool.
        protocol: ways, shots, queries.
        episodes: how many tasks.
        seed: batch ``i`` depends on ``(seed, i)`` alone, so a longer run begins with a shorter
            one's episodes.
        groups: group id of every class, indexed by class id; needed by ``within_group``.
        asked: ``(n,)`` bool, where two domains are mixed: True for pictures that are queries
            alone, False for those that are supports alone.

    Raises:
        InputError: the pool cannot supply such an episode, with the numbers.
    """
    least, most = protocol.shot_range
    if protocol.ways < 2 or not 1 <= least <= most or protocol.queries < 1:
        shots = least if least == most else f"{least} to {most}"
        raise InputError(
            f"An episode needs at least 2 ways, 1 shot and 1 query, not {protocol.ways} ways, "
            f"{shots} shots and {protocol.queries} queries."
        )
    if episodes < 1:
        raise InputError(f"There is nothing to measure in {episodes} episodes: draw at least 1.")
    everything = np.arange(len(labels))
    if asked is None:
        sources = [_Source.of(everything, labels, most + protocol.queries)]
    else:
        sources = [
            _Source.of(everything[~asked], labels, most),
            _Source.of(everything[asked], labels, protocol.queries),
        ]
    eligible = _eligible(sources, protocol, groups)
    widest = max(source.table.shape[1] for source in sources)
    numbers = max(eligible.shape[1], protocol.ways * widest)
    # A batch's episodes share their shots; where those are drawn, each episode has its own, or an
    # interval over episodes would take for independent what is not.
    at_once = EPISODES_AT_ONCE if least == most else 1
    size = max(1, min(at_once, NUMBERS_AT_ONCE // numbers))

    def batches() -> Iterator[EpisodeBatch]:
        for start in range(0, episodes, size):
            rng = np.random.default_rng((seed, start // size))
            batch = _draw_batch(sources, eligible, protocol, size, rng)
            yield batch.part(slice(episodes - start))

    return Episodes(episodes, batches)


def names_episode(labels: np.ndarray) -> Episodes:
    """One task without support: every picture of the pool is a query among all its classes."""
    nothing = np.zeros(0, dtype=np.int64)
    classes, query_labels = np.unique(labels, return_inverse=True)
    queries = np.arange(len(labels))
    task = EpisodeBatch(classes[None], nothing[None], nothing, queries[None], query_labels)
    return Episodes.of([task])


@dataclass(frozen=True)
class _Source:
    """Pictures by class.

    Attributes:
        table: ``(n_classes, most)`` pool indices, each row filled up with -1.
        counts: ``(n_classes,)`` how many of a row are indices.
        needed: pictures of a class that an episode takes.
    """

    table: np.ndarray
    counts: np.ndarray
    needed: int

    @classmethod
    def of(cls, pictures: np.ndarray, labels: np.ndarray, needed: int) -> _Source:
        n_classes = int(labels.max()) + 1 if len(labels) else 0
        own = labels[pictures]
        counts = np.bincount(own, minlength=n_classes)
        order = np.argsort(own, kind="stable")
        place = np.arange(len(own)) - (counts.cumsum() - counts)[own[order]]
        table = np.full((n_classes, max(1, counts.max(initial=0))), -1)
        table[own[order], place] = pictures[order]
        return cls(table, counts, needed)

    def draw(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """``needed`` distinct pictures of each class of ``(e, ways)``: ``(e, ways, needed)``."""
        keys = rng.random((*classes.shape, self.table.shape[1]), dtype=np.float32)
        keys[np.arange(self.table.shape[1]) >= self.counts[classes][..., None]] = 2
        return self.table[classes[..., None], _smallest(keys, self.needed)]


def _eligible(
    sources: Sequence[_Source], protocol: Protocol, groups: np.ndarray | None
) -> np.ndarray:
    """The sets of classes an episode may be drawn from, ``(sets, n_classes)`` bool.

    One in all, or one a group: Lake's within-alphabet test and ours give each the same weight.
    """
    usable = np.logical_and.reduce([source.counts >= source.needed for source in sources])
    if not protocol.within_group:
        sets = usable[None]
    elif groups is None:
        raise InputError("Drawing within alphabets needs a data set whose classes have alphabets.")
    else:
        sets = usable & (np.unique(groups)[:, None] == groups[: len(usable)])
    sizes = sets.sum(1)
    if sizes.max(initial=0) < protocol.ways:
        where = "the largest alphabet" if protocol.within_group else "the data set"
        shown, asked = protocol.shot_range[1], protocol.queries
        counts = sources[0].counts
        many = f"{shown + asked} pictures or more"
        if len(sources) > 1:
            many = f"{shown} pictures or more to show and {asked} to ask"
        raise InputError(
            f"{protocol.ways}-way episodes, {shown} shown and {asked} asked of each class, need "
            f"{protocol.ways} classes of {many}, and {where} has "
            f"{sizes.max(initial=0)}: of {np.count_nonzero(counts)} classes the largest has "
            f"{counts.max(initial=0)} pictures."
        )
    return sets[sizes >= protocol.ways]


def _draw_batch(
    sources: Sequence[_Source],
    eligible: np.ndarray,
    protocol: Protocol,
    size: int,
    rng: np.random.Generator,
) -> EpisodeBatch:
    least, most = protocol.shot_range
    ways = np.arange(protocol.ways)
    keys = rng.random((size, eligible.shape[1]), dtype=np.float32)
    keys[~eligible[rng.integers(len(eligible), size=size)]] = 2
    classes = _smallest(keys, protocol.ways)
    drawn = np.concatenate([source.draw(classes, rng) for source in sources], axis=2)
    shots = rng.integers(least, most, protocol.ways, endpoint=True)
    shown = np.arange(drawn.shape[2]) < shots[:, None]  # (ways, needed)
    return EpisodeBatch(
        classes=classes,
        support=drawn[:, shown],
        support_labels=ways.repeat(shots),
        queries=drawn[:, :, most:].reshape(size, -1),
        query_labels=ways.repeat(protocol.queries),
    )


def _smallest(keys: np.ndarray, count: int) -> np.ndarray:
    """Positions of the least ``count`` keys along the last axis, the least first."""
    if count < keys.shape[-1]:
        part = np.argpartition(keys, count - 1, axis=-1)[..., :count]
    else:
        part = np.broadcast_to(np.arange(count), keys.shape)
    order = np.take_along_axis(keys, part, -1).argsort(-1)
    return np.take_along_axis(part, order, -1)
