"""An invented script and the hands that write it: every example picture, drawn by code.

A glyph is a few strokes through points of a 9 × 9 grid. A hand (slant, size, tremor, ...) writes
it with variation of its own, a surface (ink, chalk, felt pen, a photographed page) shows it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter

# Strokes are separated by "/", points are "xy" with y downwards, and ' marks a sharp corner.
# A stroke through a single point is a dot, one that ends where it began is a loop.
_ALPHABET = """
10 15 38 66 60 / 30 34 / 66 88
44 54 56 35 23 41 63 67 48 18
12 40' 72 / 40 46 28 07
02 82 / 22 25 47 65 62 / 40 42
64 44 22 30 50 61 / 44 46 28 / 46 68
10 60' 23' 73' 36 18 / 77
20 12 24 42 64 72 60 / 42 48 / 28 68
10 16 38 56 54 / 50 80 / 66
08 03 20 50 73 78 / 24 33 45 54 / 48
11 41 64 47 17 / 71 78 / 04 44
40 48 / 13 40' 73 / 15 48' 75
30 12 15 44 64 73 / 44 48 / 28 68
18 10' 70 74 44 / 48
10 13 34 64 73 70 / 34 38 58 / 77
00 08 / 02 42 64 46 / 80 88
11 41' 45' 75 / 15 18' 78 / 71
44 23 41 63 44 25 47 65 44 / 04 44
12 32 44 48 / 44 62 82 / 18 78
02 20 42 60 82 / 24 28 / 64 68
50 20 12 34 74' 78 / 37 17
14 32 54 72 / 16 34 56 74 / 40 48
60 64 47 17 14 32 52 / 60 80
10 70 / 40 43 24 26 48 66 64 43
21 20 40 43 25 27 47 / 60 68
48 43 20 11 13 43 73 71 60 43
08 04 32 64 68 / 34 38 / 20 60
22 42 44 24 22 / 44 48 78 74
40 12 14 46 74 72 40 / 46 48
20 24 36 56 64 60 / 42 48 / 18 38
30 33 13 15 35 38 / 53 83 / 55 85
00 20 23 44 84 / 44 48 / 07 27
30 11 34 14 47 18 / 71 75 / 78
"""
# One glyph five times, with another last stroke each time.
_LOOK_ALIKES = """
20 23 44 63 60 / 44 48 / 48 78
20 23 44 63 60 / 44 48 / 48 18
20 23 44 63 60 / 44 48 / 28 68
20 23 44 63 60 / 44 48 / 26 66
20 23 44 63 60 / 44 48 / 41
"""
_OVERSAMPLING = 4  # the mask is drawn this much larger and averaged down


class Stroke(NamedTuple):
    """One pen movement: ``points`` ``(k, 2)`` x, y in [-1, 1], ``corners`` ``(k,)`` bool."""

    points: np.ndarray
    corners: np.ndarray


Glyph = tuple[Stroke, ...]
Curves = list[np.ndarray]  # each (m, 2): x, y as fractions of the picture's side, y downwards


def parse_glyph(line: str) -> Glyph:
    """A glyph of its strokes' points, written as in ``_ALPHABET``."""
    strokes = [stroke.split() for stroke in line.split("/")]
    points = [np.array([(int(x), int(y)) for x, y, *_ in stroke]) / 4.0 - 1.0 for stroke in strokes]
    corners = [np.array([point.endswith("'") for point in stroke]) for stroke in strokes]
    return tuple(map(Stroke, points, corners))


GLYPHS = tuple(map(parse_glyph, (_ALPHABET.strip() + _LOOK_ALIKES.rstrip()).splitlines()))
LOOK_ALIKES = range(len(GLYPHS) - 5, len(GLYPHS))
"""The glyphs that differ from each other in one stroke; those before are clearly distinct."""


@dataclass(frozen=True)
class Hand:
    """How one person writes; the defaults write a glyph exactly as designed.

    Attributes:
        size: the glyph's height as a fraction of the picture's side.
        aspect: factor on the glyph's width.
        slant: horizontal shear; positive leans to the right.
        tilt: rotation in radians, clockwise.
        pen: factor on the surface's stroke width.
        tremor: amplitude of the pen's wobble, in half glyph heights.
        looseness: how far a drawing strays from the design: 0 not at all, 1 as people do.
    """

    size: float = 0.6
    aspect: float = 1.0
    slant: float = 0.0
    tilt: float = 0.0
    pen: float = 1.0
    tremor: float = 0.0
    looseness: float = 0.0

    @classmethod
    def of(cls, seed: int) -> Hand:
        """The hand of drawer number ``seed``."""
        rng = np.random.default_rng((seed, 0))
        return cls(
            size=rng.uniform(0.46, 0.70),
            aspect=np.exp(rng.normal(0.0, 0.13)),
            slant=np.clip(rng.normal(0.03, 0.13), -0.3, 0.3),
            tilt=rng.normal(0.0, 0.05),
            pen=rng.uniform(0.85, 1.2),
            tremor=rng.uniform(0.004, 0.014),
            looseness=rng.uniform(0.6, 1.2),
        )


def _rotation(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])  # for row vectors


def _spline(points: np.ndarray, closed: bool) -> np.ndarray:
    """Catmull-Rom curve through ``(k, 2)`` points, k >= 2 -> ``(m, 2)``."""
    before = points[-2] if closed else 2 * points[0] - points[1]
    after = points[1] if closed else 2 * points[-1] - points[-2]
    padded = np.vstack([before, points, after])
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))  # (k - 1, 1, 2)
    t = np.linspace(0.0, 1.0, 12)[None, :, None]
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return curve.reshape(-1, 2)


def _wobble(curve: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Add a slow, smooth tremor to a curve ``(m, 2)``, by the length travelled along it."""
    travelled = np.linalg.norm(np.diff(curve, axis=0, prepend=curve[:1]), axis=1).cumsum()
    frequency, phase = rng.uniform(1.5, 9, (3, 1)), rng.uniform(0, 2 * np.pi, (3, 2))
    waves = np.sin(travelled[:, None, None] * frequency + phase)  # (m, 3, 2)
    return curve + amplitude * waves.sum(1)


def _write_stroke(stroke: Stroke, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """One drawing of a stroke: ``(m, 2)`` in the design's own units."""
    points, loose = stroke.points, hand.looseness
    closed = len(points) > 2 and np.array_equal(points[0], points[-1])
    centre = points.mean(0)
    turned = (points - centre) @ _rotation(rng.normal(0, 0.06 * loose))
    moved = turned * np.exp(rng.normal(0, 0.08 * loose, 2)) + centre
    moved += rng.normal(0, 0.045 * loose, 2)
    jitter = rng.normal(0, 0.06 * loose, points.shape)
    if closed:  # people nearly meet the start of a loop again
        jitter[-1] = jitter[0] + rng.normal(0, 0.025 * loose, 2)
    points = moved + jitter
    if len(points) == 1:
        return points
    cuts = [0, *np.flatnonzero(stroke.corners), len(points) - 1]
    smooth = closed and len(cuts) == 2
    pieces = [_spline(points[i : j + 1], smooth) for i, j in pairwise(cuts) if j > i]
    return _wobble(np.vstack(pieces), hand.tremor, rng)


def write(glyph: Glyph, hand: Hand, rng: np.random.Generator) -> Curves:
    """One drawing of a glyph by a hand: a curve per stroke, ``(m, 2)`` fractions of the side.

    A dot is a curve of one point. The drawing lies inside the picture.
    """
    loose = hand.looseness
    shear = np.array([[1.0, 0.0], [-hand.slant - rng.normal(0, 0.05 * loose), 1.0]])
    aspect = hand.aspect * np.exp(rng.normal(0, 0.07 * loose))
    scale = hand.size / 2 * np.exp(rng.normal(0, 0.05 * loose)) * np.array([aspect, 1.0])
    matrix = (shear * scale) @ _rotation(hand.tilt + rng.normal(0, 0.05 * loose))
    curves = [_write_stroke(stroke, hand, rng) @ matrix for stroke in glyph]
    low, high = np.vstack(curves).min(0), np.vstack(curves).max(0)
    shrink = min(1.0, 0.86 / (high - low).max())
    room = 0.43 - (high - low) * shrink / 2
    centre = 0.5 + np.clip(rng.normal(0, 0.05 * loose, 2), -room, room)
    return [(curve - (low + high) / 2) * shrink + centre for curve in curves]


def ink(curves: Curves, width: float, side: int) -> np.ndarray:
    """Coverage ``(side, side)`` float32 in [0, 1] of a round pen, ``width`` a fraction of side."""
    large = side * _OVERSAMPLING
    mask = Image.new("L", (large, large), 0)
    pen = ImageDraw.Draw(mask)
    for curve in curves:
        # A dot is pressed a little harder, or it would vanish beside the strokes.
        radius = max(width * large / 2, 1.0) * (1.35 if len(curve) == 1 else 1.0)
        path = list(map(tuple, (curve * large).tolist()))
        pen.line(path, fill=255, width=round(2 * radius))
        for x, y in path:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(mask.reduce(_OVERSAMPLING), np.float32) / 255.0


def _clouds(side: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise ``(side, side)`` of about unit variance, ``cells`` blotches across."""
    coarse = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def _blend(ground: np.ndarray, colour: ArrayLike, cover: np.ndarray) -> np.ndarray:
    """Paint ``colour`` over ``ground`` ``(s, s, 3)`` where ``cover`` ``(s, s)`` is 1."""
    return ground + cover[..., None] * (np.array(colour, np.float32) - ground)


def _on_paper(curves: Curves, pen: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """Black ink on white."""
    return _blend(
        np.full((side, side, 3), 255, np.float32), (0, 0, 0), ink(curves, 0.03 * pen, side)
    )


def _on_board(curves: Curves, pen: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """Chalk on a dark board: light on dark, broken by the board's grain."""
    board = rng.choice([(40, 66, 56), (46, 50, 56), (36, 48, 66)])
    ground = board + 4.0 * _clouds(side, 6, rng)[..., None] + rng.normal(0, 3, (side, side, 1))
    cover = ink(curves, 0.05 * pen, side)
    dust = Image.fromarray(cover).resize((side // 8,) * 2).resize((side,) * 2)
    grain = np.clip(0.8 + 0.2 * _clouds(side, side // 2, rng), 0.2, 1.0)
    cover = np.maximum(cover * grain, 0.12 * np.asarray(dust))
    return _blend(ground, (240, 238, 228), cover)


def _with_felt_pen(curves: Curves, pen: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """A thick coloured felt pen on white paper."""
    colours = [(200, 40, 48), (28, 84, 190), (16, 130, 76), (216, 98, 16), (124, 50, 160)]
    cover = ink(curves, 0.06 * pen, side) * (0.93 + 0.04 * _clouds(side, 8, rng))
    return _blend(
        np.full((side, side, 3), 252, np.float32), rng.choice(colours), np.clip(cover, 0, 1)
    )


def _photographed(curves: Curves, pen: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """A page of ruled paper seen by a phone: askew, unevenly lit, a little soft and noisy."""
    turn = _rotation(rng.normal(0, 0.1))
    away = rng.uniform(-0.18, 0.18, 2)  # the page recedes in this direction
    shift = 0.5 + rng.uniform(-0.05, 0.05, 2)

    def seen(curve: np.ndarray) -> np.ndarray:
        flat = (curve - 0.5) @ turn * 0.9
        return flat / (1 + flat @ away)[:, None] + shift

    gap = rng.uniform(0.15, 0.2)
    heights = np.arange(-0.5, 1.5, gap) + rng.uniform(0, gap)
    rules = [seen(np.array([[-1.0, y], [2.0, y]])) for y in heights]
    page = np.full((side, side, 3), (247, 243, 232), np.float32)
    page = _blend(page, (150, 175, 210), 0.35 * ink(rules, 0.006, side))
    pens = [(28, 28, 34), (30, 42, 110), (60, 50, 52)]
    page = _blend(page, rng.choice(pens), 0.92 * ink([seen(c) for c in curves], 0.034 * pen, side))
    return _light(page, rng)


def _light(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light ``(s, s, 3)`` from one side, with a soft shadow across it and the sensor's noise."""
    side = len(page)
    x = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    angles = rng.uniform(0, 2 * np.pi, 2).astype(np.float32)
    falls, edge = (np.cos(a) * x[:, None] + np.sin(a) * x for a in angles)  # each (s, s)
    shadow = 1 / (1 + np.exp(-(edge - rng.uniform(0.1, 0.5)) * 14))
    light = 0.94 + 0.24 * falls - rng.uniform(0.12, 0.3) * shadow
    lit = Image.fromarray(np.clip(page * light[..., None], 0, 255).astype(np.uint8))
    soft = np.asarray(lit.filter(ImageFilter.GaussianBlur(0.004 * side)), np.float32)
    return soft + 2.5 * rng.standard_normal((side, side, 1), np.float32)


SURFACES: dict[str, Callable[[Curves, float, int, np.random.Generator], np.ndarray]] = {
    "ink": _on_paper,
    "chalk": _on_board,
    "felt": _with_felt_pen,
    "photo": _photographed,
}


def draw(
    glyph: int | Glyph,
    seed: int,
    *,
    surface: str = "ink",
    hand: Hand | None = None,
    side: int = 160,
) -> np.ndarray:
    """Draw one glyph as drawer number ``seed`` would: the same arguments give the same pixels.

    Args:
        glyph: index into ``GLYPHS``, or one that is not among them.
        seed: 0 or more: whose hand it is, and the variation of this drawing.
        surface: a name in ``SURFACES``.
        hand: replaces the drawer's own hand.
        side: the picture's height and width in pixels.

    Returns:
        ``(side, side, 3)`` uint8 RGB.
    """
    hand = hand or Hand.of(seed)
    if isinstance(glyph, tuple):
        strokes, number = glyph, zlib.crc32(b"".join(s.points.tobytes() for s in glyph))
    else:
        strokes, number = GLYPHS[glyph], 1 + glyph
    rng = np.random.default_rng((seed, number))
    pixels = SURFACES[surface](write(strokes, hand, rng), hand.pen, side, rng)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
