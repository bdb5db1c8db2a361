"""What travels between the parts: pictures, support sets, predictions, comparisons."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fewshot.index import SupportIndex


class InputError(ValueError):
    """Something a person gave cannot be used; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Picture:
    """One decoded picture.

    Attributes:
        name: where it came from, as its owner would recognise it (a file name).
        pixels: ``(height, width, 3)`` uint8 RGB.
    """

    name: str
    pixels: np.ndarray

    @cached_property
    def digest(self) -> str:
        """Hash of the pixels alone: the cache key."""
        content = hashlib.blake2b(repr(self.pixels.shape).encode(), digest_size=16)
        content.update(np.ascontiguousarray(self.pixels))
        return content.hexdigest()

    @property
    def views_seed(self) -> str:
        """What seeds this picture's views, in hexadecimal: its content."""
        return self.digest


@dataclass(frozen=True)
class SupportSet:
    """The labelled pictures a person shows.

    Attributes:
        classes: the distinct class names, in the order their owner gave them.
        pictures: ``n`` pictures.
        labels: ``(n,)`` int64, ``labels[i]`` indexes ``classes``.
        descriptions: of each class a few words more than its name, or "", for methods that read;
            empty when no class has any.
    """

    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    labels: np.ndarray
    descriptions: tuple[str, ...] = ()

    @property
    def n_way(self) -> int:
        """How many classes."""
        return len(self.classes)


def described(classes: Sequence[str], descriptions: Sequence[str]) -> tuple[str, ...]:
    """What prompts call each class: its name, or "NAME, DESCRIPTION"."""
    return tuple(
        f"{name}, {more}" if more else name
        for name, more in zip(classes, descriptions or ("",) * len(classes), strict=True)
    )


@dataclass(frozen=True)
class Support:
    """A support set as one encoder sees it: what every method's ``fit`` takes.

    Attributes:
        classes: the ``n_way`` class names.
        labels: ``(n,)`` int64 indices into ``classes``.
        embeddings: ``(n, d)`` float32.
        views: ``(n, v, d)`` float32 embeddings of ``v`` augmented views of each picture,
            or None when none were made.
        files: the pictures' names, or empty.
        index: the embeddings' index, its ids the positions in the support set, or None.
        descriptions: as in :class:`SupportSet`.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    embeddings: np.ndarray
    views: np.ndarray | None = None
    files: tuple[str, ...] = ()
    index: SupportIndex | None = None
    descriptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.descriptions and len(self.descriptions) != len(self.classes):
            raise ValueError(f"{len(self.descriptions)} descriptions, {len(self.classes)} classes")
        if len(self.labels) != len(self.embeddings):
            raise ValueError(f"{len(self.labels)} labels for {len(self.embeddings)} embeddings")
        if self.views is not None and len(self.views) != len(self.embeddings):
            raise ValueError(f"views of {len(self.views)} pictures for {len(self.embeddings)}")

    @property
    def n_way(self) -> int:
        """How many classes."""
        return len(self.classes)

    @property
    def described(self) -> tuple[str, ...]:
        """What prompts call each class: its name, or "NAME, DESCRIPTION"."""
        return described(self.classes, self.descriptions)


@dataclass(frozen=True)
class Prediction:
    """What one method says of ``q`` queries.

    Attributes:
        classes: the ``n_way`` class names.
        probabilities: ``(q, n_way)`` float32, rows sum to 1.
        scores: ``(q, n_way)`` float32, what the softmax was taken of, before any temperature:
            the method's own measure (a pair logit, a negative distance, a cosine); of a mean of
            probabilities, the mean of its parts' measures.
        evidence: ``(q, n)`` float32, the method's measure for each query and support picture,
            or None for a method that looks at no pictures.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    scores: np.ndarray
    evidence: np.ndarray | None = None

    @property
    def labels(self) -> list[str]:
        """The most probable class of each query."""
        return [self.classes[i] for i in self.probabilities.argmax(1)]


@dataclass(frozen=True)
class Neighbour:
    """A support picture near a query.

    Attributes:
        position: in the support set.
        file, label: its name and class.
        similarity: cosine.
        measure: the method's own evidence of it, or None where it has none.
    """

    position: int
    file: str
    label: str
    similarity: float
    measure: float | None = None


@dataclass(frozen=True)
class MethodResult:
    """One method's answer to all queries.

    Attributes:
        prediction: probabilities and evidence.
        milliseconds: ``(q,)`` time per query, its share of embedding included.
        neighbours: for each query the nearest support pictures, nearest first.
        shown_scores: ``(n, n_way)`` float32, its score of each support picture, of a method that
            did not learn from them, else None.
    """

    prediction: Prediction
    milliseconds: np.ndarray
    neighbours: tuple[tuple[Neighbour, ...], ...]
    shown_scores: np.ndarray | None = None


class Blank(NamedTuple):
    """A picture in which an encoder of drawings found no drawing.

    Attributes:
        name: its file's, which others may have too.
        query: its number among the queries, or None for one that was shown.
    """

    name: str
    query: int | None


@dataclass(frozen=True)
class Comparison:
    """Every method's answer to the same queries from the same support set.

    Attributes:
        classes: the class names.
        queries: the query pictures' names.
        results: by method name, in the order asked for.
        unavailable: by method name, one sentence on why it could not answer.
        sources: by method name, where its encoder's weights come from.
        cautions: sentences that say where not to trust an encoder that took part.
        without_ink: the pictures in which an encoder of drawings found no drawing.
        descriptions: of each class, as in :class:`SupportSet`.
    """

    classes: tuple[str, ...]
    queries: tuple[str, ...]
    results: dict[str, MethodResult]
    unavailable: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    without_ink: tuple[Blank, ...] = ()
    descriptions: tuple[str, ...] = ()

    def is_blank(self, query: int) -> bool:
        """Whether an encoder of drawings found no drawing in a query."""
        return any(blank.query == query for blank in self.without_ink)

    def votes(self, query: int) -> dict[str, list[str]]:
        """Class name -> the methods whose top label it is, for one query."""
        votes: dict[str, list[str]] = {}
        for name, result in self.results.items():
            votes.setdefault(result.prediction.labels[query], []).append(name)
        return votes

    def agree(self, query: int) -> bool:
        """True when all methods that answered give the same label."""
        return len(self.votes(query)) <= 1
