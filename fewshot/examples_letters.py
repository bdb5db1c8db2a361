"""Example tasks of an invented script: the pictures tell everything, the names nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fewshot.examples_base import ExampleTask, answers_in_turn, kept
from fewshot.handwriting import LOOK_ALIKES, draw
from fewshot.types import Picture, SupportSet


@dataclass(frozen=True)
class Letters:
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
        answers = answers_in_turn(tuple(self.glyphs), self.queries, self.drawer)
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

    def _query(self, number: int, name: str) -> Picture:
        surface = self.query_surfaces[number % len(self.query_surfaces)]
        drawer = self.drawer + self.shots + number
        return _picture(f"query-{number + 1}.png", self.glyphs[name], drawer, surface)


def _picture(name: str, glyph: int, drawer: int, surface: str) -> Picture:
    return kept(name, draw(glyph, drawer, surface=surface))


LETTER_TASKS = (
    Letters(
        key="alphabet",
        title="Invented alphabet",
        description="Five letters of a script nobody has seen before, five drawings of each: "
        "pictures beat names here, since an invented name tells CLIP nothing of its letter.",
        glyphs={"Oru": 3, "Tavek": 17, "Mishal": 6, "Pelo": 13, "Zuni": 24},
        drawer=100,
    ),
    Letters(
        key="one-shot",
        title="One drawing each",
        description="A single drawing per letter has to do: five-way one-shot classification, "
        "with queries by other hands.",
        glyphs={"Kael": 0, "Ombri": 19, "Vesh": 21, "Durat": 8, "Ilia": 2},
        shots=1,
        drawer=200,
    ),
    Letters(
        key="chalk",
        title="From paper to chalk",
        description="Learnt in black ink, asked in white chalk and coloured felt pen: does a "
        "method see the letter or the pen?",
        glyphs={"Suvo": 4, "Banith": 18, "Reko": 22, "Altum": 29, "Yira": 5},
        query_surfaces=("chalk", "felt"),
        drawer=300,
    ),
    Letters(
        key="paper",
        title="Photographed paper",
        description="Every letter is a phone's photo of a notebook page, with shadows, ruled lines "
        "and a tilt that have nothing to do with the class.",
        glyphs={"Fenu": 1, "Gorim": 28, "Hasta": 10, "Lobek": 16, "Wey": 25},
        surface="photo",
        query_surfaces=("photo",),
        drawer=400,
    ),
    Letters(
        key="look-alikes",
        title="Look-alikes",
        description="Five letters that differ in one stroke only: a hard task, on which the "
        "methods may disagree.",
        glyphs=dict(zip(("Neva", "Tolum", "Siri", "Quado", "Brek"), LOOK_ALIKES, strict=True)),
        queries=10,
        drawer=500,
    ),
)
