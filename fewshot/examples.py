"""Example tasks for a visitor without pictures at hand: drawn on demand, no data files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from fewshot.handwriting import LOOK_ALIKES, draw
from fewshot.types import InputError, Picture, SupportSet


@dataclass(frozen=True)
class ExampleTask:
    """A support set with queries whose answers are known.

    Attributes:
        key: its name in ``EXAMPLE_TASKS``.
        title: a few words for a button.
        description: one sentence on what the task shows.
        preset: which encoders suit it, ``"drawings"`` or ``"photos"``.
        support: the labelled pictures, grouped by class.
        queries: the pictures to classify; another hand drew each.
        answers: each query's true class.
    """

    key: str
    title: str
    description: str
    preset: str
    support: SupportSet
    queries: tuple[Picture, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """What to draw for a task; calling it draws.

    Attributes:
        glyphs: class name -> index into ``handwriting.GLYPHS``.
        shots: support drawings per class, each by a hand that draws every class once.
        surface: what the support is drawn on, a name in ``handwriting.SURFACES``.
        query_surfaces: the queries' surfaces, taken in turn.
        queries: how many queries; every class is asked before one is asked again.
        drawer: number of the first hand: tasks with other numbers are drawn by other people.
    """

    key: str
    title: str
    description: str
    glyphs: dict[str, int]
    drawer: int
    shots: int = 5
    surface: str = "ink"
    query_surfaces: tuple[str, ...] = ("ink",)
    queries: int = 6

    def __call__(self) -> ExampleTask:
        """Draw the task: the same pixels every time."""
        answers = self._answers()
        return ExampleTask(
            key=self.key,
            title=self.title,
            description=self.description,
            preset="drawings",
            support=self._support(),
            queries=tuple(self._query(number, name) for number, name in enumerate(answers)),
            answers=answers,
        )

    def _support(self) -> SupportSet:
        pictures = tuple(
            _picture(f"{name}/{shot + 1}.png", glyph, self.drawer + shot, self.surface)
            for name, glyph in self.glyphs.items()
            for shot in range(self.shots)
        )
        labels = np.repeat(np.arange(len(self.glyphs), dtype=np.int64), self.shots)
        return SupportSet(tuple(self.glyphs), pictures, labels)

    def _answers(self) -> tuple[str, ...]:
        # Shuffled, so that the order of the queries does not give the answers away.
        rng = np.random.default_rng(self.drawer)
        rounds = -(-self.queries // len(self.glyphs))
        order = np.concatenate([rng.permutation(len(self.glyphs)) for _ in range(rounds)])
        return tuple(list(self.glyphs)[i] for i in order[: self.queries])

    def _query(self, number: int, name: str) -> Picture:
        surface = self.query_surfaces[number % len(self.query_surfaces)]
        drawer = self.drawer + self.shots + number
        return _picture(f"query-{number + 1}.png", self.glyphs[name], drawer, surface)


def _picture(name: str, glyph: int, drawer: int, surface: str) -> Picture:
    pixels = draw(glyph, drawer, surface=surface)
    pixels.flags.writeable = False  # every visitor is given the same cached pictures
    return Picture(name, pixels)


_RECIPES = (
    Recipe(
        key="alphabet",
        title="Invented alphabet",
        description="Five letters of a script nobody has seen before, five drawings of each: "
        "the pictures alone tell what a letter looks like.",
        glyphs={"Oru": 3, "Tavek": 17, "Mishal": 6, "Pelo": 13, "Zuni": 24},
        drawer=100,
    ),
    Recipe(
        key="one-shot",
        title="One drawing each",
        description="A single drawing per letter has to do: five-way one-shot classification, "
        "with queries by other hands.",
        glyphs={"Kael": 0, "Ombri": 19, "Vesh": 21, "Durat": 8, "Ilia": 2},
        shots=1,
        drawer=200,
    ),
    Recipe(
        key="chalk",
        title="From paper to chalk",
        description="Learnt in black ink, asked in white chalk and coloured felt pen: does a "
        "method see the letter or the pen?",
        glyphs={"Suvo": 4, "Banith": 18, "Reko": 22, "Altum": 29, "Yira": 5},
        query_surfaces=("chalk", "felt"),
        drawer=300,
    ),
    Recipe(
        key="paper",
        title="Photographed paper",
        description="Every letter is a phone's photo of a notebook page, with shadows, ruled lines "
        "and a tilt that have nothing to do with the class.",
        glyphs={"Fenu": 1, "Gorim": 28, "Hasta": 10, "Lobek": 16, "Wey": 25},
        surface="photo",
        query_surfaces=("photo",),
        drawer=400,
    ),
    Recipe(
        key="look-alikes",
        title="Look-alikes",
        description="Five letters that differ in one stroke only: a hard task, on which the "
        "methods may disagree.",
        glyphs=dict(zip(("Neva", "Tolum", "Siri", "Quado", "Brek"), LOOK_ALIKES, strict=True)),
        queries=10,
        drawer=500,
    ),
)
EXAMPLE_TASKS: dict[str, Callable[[], ExampleTask]] = {recipe.key: recipe for recipe in _RECIPES}


@cache
def example_task(name: str) -> ExampleTask:
    """The task of that name in ``EXAMPLE_TASKS``, drawn once per process.

    Raises:
        InputError: there is no such task.
    """
    if name not in EXAMPLE_TASKS:
        raise InputError(f"No example task {name!r}: choose one of {', '.join(EXAMPLE_TASKS)}.")
    return EXAMPLE_TASKS[name]()
