"""An invented alphabet as a data set: drawn by code, so that there is one on every machine."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from fewshot.data.pool import Pool
from fewshot.handwriting import LOOK_ALIKES, SURFACES, Hand, draw
from fewshot.types import Picture

CHARACTERS = 30  # the last five of which are look-alikes: something to confuse
DRAWERS = 10
SIDE = 105  # pixels, as Omniglot has
_FIRST_DRAWER = 7_000  # other people than those of the examples
# All in a hurry, or there would be next to no error to compare methods by.
_HURRY = 1.5


@functools.cache
def invented_alphabet() -> Pool:
    """30 characters by 10 hands each: in ink, chalk and felt pen, and on photographed paper."""
    plain = CHARACTERS - len(LOOK_ALIKES)
    names = [f"letter {number:02d}" for number in range(1, plain + 1)]
    names += [f"look-alike {number}" for number in range(1, len(LOOK_ALIKES) + 1)]
    glyphs = [*range(plain), *LOOK_ALIKES]
    pictures = [
        Picture(f"{name}/{drawer + 1:02d}.png", _drawn(glyph, drawer))
        for name, glyph in zip(names, glyphs, strict=True)
        for drawer in range(DRAWERS)
    ]
    return Pool(pictures, np.arange(CHARACTERS).repeat(DRAWERS), tuple(names))


def _drawn(glyph: int, drawer: int) -> np.ndarray:
    """The same pixels every time."""
    hand = Hand.of(_FIRST_DRAWER + drawer)
    hand = replace(hand, looseness=_HURRY * hand.looseness)
    surface = list(SURFACES)[drawer % len(SURFACES)]
    pixels = draw(glyph, _FIRST_DRAWER + drawer, surface=surface, hand=hand, side=SIDE)
    pixels.flags.writeable = False  # every visitor is given the same
    return pixels
