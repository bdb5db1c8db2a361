"""An example task on the photos preset: surfaces, in pictures that are made by code."""

from __future__ import annotations

import numpy as np

from fewshot.examples_base import ExampleTask, kept, queries_in_turn
from fewshot.textures import TEXTURES, photograph
from fewshot.types import SupportSet

SHOTS, QUERIES = 4, 7
_FIRST = 700  # seed of the first picture


class Textures:
    """Makes the task when called; its title can be had without."""

    key = "surfaces"
    title = "Surfaces in colour"

    def __call__(self) -> ExampleTask:
        """Make the pictures: the same pixels every time."""
        names = tuple(TEXTURES)
        pictures = [
            kept(f"{name}/{shot + 1}.png", photograph(name, _FIRST + shot))
            for name in names
            for shot in range(SHOTS)
        ]
        labels = np.repeat(np.arange(len(names), dtype=np.int64), SHOTS)
        queries, answers = queries_in_turn(
            names, QUERIES, _FIRST, lambda name, i: photograph(name, _FIRST + SHOTS + i)
        )
        return ExampleTask(
            key=self.key,
            title=self.title,
            description="Five surfaces in changing colours, light and crops, computed rather than "
            "photographed: what they share is a pattern, which a few pictures of each show well.",
            preset="photos",
            support=SupportSet(names, tuple(pictures), labels),
            queries=queries,
            answers=answers,
        )
