"""A folder laid out like Omniglot's, filled with invented characters, to test loaders on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from fewshot.handwriting import GLYPHS, Glyph, Hand, Stroke, ink, write

SIDE = 105
_PEN = 0.027  # of the side: 2 to 3 pixels
_THUMBNAIL = 28  # pixels, the size at which designs are compared
_ALIKE = 0.75  # cosine of two blurred designs above which the second is discarded
_STROKES = [stroke for glyph in GLYPHS for stroke in glyph if len(stroke.points) > 1]
_BENT = [stroke for stroke in _STROKES if len(stroke.points) > 2]


def write_omniglot_tree(
    root: Path,
    *,
    alphabets: int,
    characters: int,
    drawers: int = 20,
    split: str = "images_background",
    seed: int = 0,
) -> Path:
    """Write ``<split>/<alphabet>/<characterNN>/<id>_<drawer>.png`` under ``root``.

    Files are 105 × 105 pixels of 1 bit, black on white. No two characters are the same, and a
    drawer is the same hand throughout an alphabet. Another ``seed`` or ``split`` gives other
    characters and other hands; the same arguments give the same files.

    Returns:
        ``root / split``.
    """
    rng = np.random.default_rng((seed, *split.encode()))
    glyphs = invent(alphabets * characters, rng)
    people = rng.integers(2**31, size=(alphabets, drawers))
    name = split.removeprefix("images_").capitalize()
    for number, glyph in enumerate(glyphs):
        alphabet, character = divmod(number, characters)
        folder = root / split / f"{name}_{alphabet + 1}" / f"character{character + 1:02d}"
        folder.mkdir(parents=True)
        for drawer in range(drawers):
            hand = Hand.of(int(people[alphabet, drawer]))
            cover = ink(write(glyph, hand, rng), _PEN * hand.pen, SIDE)
            page = Image.fromarray(cover < 0.5)  # a bool array is a 1-bit picture, True is white
            page.save(folder / f"{number + 1:04d}_{drawer + 1:02d}.png")
    return root / split


def invent(count: int, rng: np.random.Generator) -> list[Glyph]:
    """``count`` glyphs of two or three strokes, no two of them alike."""
    glyphs: list[Glyph] = []
    designs = np.zeros((count, _THUMBNAIL**2))
    for _ in range(count * 50):
        # One stroke at least is bent: of straight ones alone few differ enough.
        strokes = [_BENT[rng.integers(len(_BENT))]]
        strokes += [_STROKES[i] for i in rng.integers(len(_STROKES), size=rng.integers(1, 3))]
        glyph = tuple(_vary(stroke, rng) for stroke in strokes)
        design = _blurred(glyph, rng)
        if (designs @ design).max(initial=0) < _ALIKE:
            designs[len(glyphs)] = design
            glyphs.append(glyph)
            if len(glyphs) == count:
                return glyphs
    raise ValueError(f"found only {len(glyphs)} of {count} glyphs that differ enough")


def _vary(stroke: Stroke, rng: np.random.Generator) -> Stroke:
    """Mirror, transpose and move a stroke within [-1, 1]."""
    points = stroke.points * rng.choice([-1.0, 1.0], 2)
    if rng.random() < 0.5:
        points = points[:, ::-1]
    low, high = points.min(0), points.max(0)
    shift = rng.uniform(np.maximum(-1 - low, -0.5), np.minimum(1 - high, 0.5))
    return Stroke(points + shift, stroke.corners)


def _blurred(glyph: Glyph, rng: np.random.Generator) -> np.ndarray:
    """The design, blurred and of unit norm, ``(_THUMBNAIL ** 2,)``: what likeness is taken on."""
    cover = ink(write(glyph, Hand(), rng), 0.05, _THUMBNAIL)
    page = Image.fromarray((cover * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    pixels = np.asarray(page, float).ravel()
    return pixels / np.linalg.norm(pixels)
