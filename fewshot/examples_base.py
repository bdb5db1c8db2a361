"""What an example task is, and what all kinds of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.types import Picture, SupportSet


@dataclass(frozen=True)
class ExampleTask:
    """A support set with queries whose answers are known.

    Attributes:
        key: its name in ``EXAMPLE_TASKS``.
        title: a few words for a button.
        description: one sentence on what the task shows.
        preset: which encoders suit it, ``"drawings"`` or ``"photos"``.
        support: the labelled pictures, grouped by class.
        queries: the pictures to classify; none is of the support.
        answers: each query's true class.
    """

    key: str
    title: str
    description: str
    preset: str
    support: SupportSet
    queries: tuple[Picture, ...]
    answers: tuple[str, ...]


def answers_in_turn(classes: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    """What ``count`` queries ask for: every class before one is asked for again.

    Shuffled, so that the order of the queries does not give the answers away.
    """
    rng = np.random.default_rng(seed)
    rounds = -(-count // len(classes))
    order = np.concatenate([rng.permutation(len(classes)) for _ in range(rounds)])
    return tuple(classes[i] for i in order[:count])


def queries_in_turn(
    classes: Sequence[str], count: int, seed: int, pixels_of: Callable[[str, int], np.ndarray]
) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """Queries that ask for the classes in turn, and their answers.

    Args:
        classes: what may be asked for.
        count: how many queries.
        seed: of their order.
        pixels_of: makes a new picture of a class, given its name and the query's number from 0.
    """
    answers = answers_in_turn(classes, count, seed)
    queries = [
        kept(f"query-{number + 1}.png", pixels_of(name, number))
        for number, name in enumerate(answers)
    ]
    return tuple(queries), answers


def kept(name: str, pixels: np.ndarray) -> Picture:
    """A picture that cannot be changed: every visitor is given the same."""
    pixels.flags.writeable = False
    return Picture(name, pixels)
