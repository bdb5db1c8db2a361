"""An example task where names beat pictures: everyday symbols, each shown once and oddly."""

from __future__ import annotations

import numpy as np

from fewshot.examples_base import ExampleTask, kept, queries_in_turn
from fewshot.handwriting import draw, parse_glyph
from fewshot.types import SupportSet

QUERIES = 10
_DRAWER = 600  # number of the first hand

# Name, as assets/prompts/symbols.json has it -> how people draw it, and the odd drawing shown: in
# each, something stands out that is another class's mark.
_SYMBOLS = {
    "heart": (
        "48' 15 03 11 31 43' 51 71 83 75 48'",
        "47' 35 24 32 43' 52 64 55 47' / 04 84 / 61 84' 67",  # pierced by an arrow
    ),
    "star": (
        "40' 53' 83' 65' 78' 46' 18' 25' 03' 33' 40'",
        "48' 15 03 11 31 43' 51 71 83 75 48' / 43 46 / 34 55 / 54 35",  # a small one in a heart
    ),
    "check mark": (
        "04 37' 81",
        "40' 53' 83' 65' 78' 46' 18' 25' 03' 33' 40' / 34 45' 53",  # on a star
    ),
    "arrow pointing right": (
        "04 84 / 61 84' 67",
        "20 24 26 36 38 18 16 26 / 20 60 / 60 66 68 48 46 66 / 43 83 / 71 83' 75",
    ),
    "music note": (
        "57 46 26 17 28 48 57 / 57 50 / 50 62 74",
        "04 37' 81 / 72 83 74 63 72 / 72 70",  # with a check mark for its stem
    ),
}


class Symbols:
    """Draws the task when called; its title can be had without."""

    key = "symbols"
    title = "Names beat pictures"

    def __call__(self) -> ExampleTask:
        """Draw the task: the same pixels every time."""
        names = tuple(_SYMBOLS)
        plain, odd = zip(*(map(parse_glyph, pair) for pair in _SYMBOLS.values()), strict=True)
        shown = [
            kept(f"{name}/1.png", draw(glyph, _DRAWER))
            for name, glyph in zip(names, odd, strict=True)
        ]
        queries, answers = queries_in_turn(
            names, QUERIES, _DRAWER, lambda name, i: draw(plain[names.index(name)], _DRAWER + 1 + i)
        )
        return ExampleTask(
            key=self.key,
            title=self.title,
            description="Everyday symbols, each shown by one odd drawing that looks more like "
            "another of them: the pictures mislead, and CLIP, which knows the names, does better. "
            "The adapter believes the pictures and is misled with them.",
            preset="drawings",
            support=SupportSet(names, tuple(shown), np.arange(len(names), dtype=np.int64)),
            queries=queries,
            answers=answers,
        )
