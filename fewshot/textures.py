"""Photo-like pictures of surfaces, made by code: marble, wood, brick, clouds, paving.

Each picture is a crop of an endless surface seen from some angle and distance, in colours and
light of its own: no two are alike, and the same seed gives the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Field = np.ndarray  # (s, s) float32


def photograph(texture: str, seed: int, side: int = 192) -> np.ndarray:
    """One picture of a texture.

    Args:
        texture: a name in ``TEXTURES``.
        seed: 0 or more.
        side: height and width in pixels.

    Returns:
        ``(side, side, 3)`` uint8 RGB.
    """
    rng = np.random.default_rng((seed, list(TEXTURES).index(texture)))
    surface = TEXTURES[texture](*_view(texture, side, rng), rng)  # (s, s, 3) in [0, 1]
    lit = surface * _light(side, rng)[..., None]
    noisy = lit + rng.normal(0, 0.012, (side, side, 1)) + rng.normal(0, 0.006, lit.shape)
    image = Image.fromarray(np.clip(np.rint(noisy * 255), 0, 255).astype(np.uint8))
    return np.array(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8))))


def _view(texture: str, side: int, rng: np.random.Generator) -> tuple[Field, Field]:
    """Where on the surface each pixel lies: x and y, ``(s, s)`` each, about 6 units across."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    upright = texture in ("brick", "clouds")  # walls and skies are rarely seen askew
    turn = rng.normal(0, 0.08) if upright else rng.uniform(0, 2 * np.pi)
    away = 1 + x * rng.uniform(-0.35, 0.35) + y * rng.uniform(-0.35, 0.35)
    size = 6 * np.exp(rng.uniform(-0.35, 0.35))
    x, y = x / away * size, y / away * size
    shift = rng.uniform(0, 100, 2)
    cos, sin = np.cos(turn), np.sin(turn)
    return cos * x - sin * y + shift[0], sin * x + cos * y + shift[1]


def _light(side: int, rng: np.random.Generator) -> Field:
    """Light that falls off to one side, and towards the corners."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    falls = (np.cos(angle) * x + np.sin(angle) * y) * rng.uniform(0.1, 0.5)
    return rng.uniform(0.8, 1.08) * (1 + falls) * (1 - 0.35 * (x**2 + y**2))


# Noise


def _lattice(i: np.ndarray, j: np.ndarray, seed: int) -> np.ndarray:
    """A random number in [0, 1) for each pair of whole numbers, always the same."""
    h = i.astype(np.uint32) * np.uint32(374_761_393) + j.astype(np.uint32) * np.uint32(668_265_263)
    h += np.uint32(seed * 2_246_822_519 % 2**32)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1_274_126_177)
    return ((h ^ (h >> np.uint32(16))) / np.float32(2**32)).astype(np.float32)


def _noise(x: Field, y: Field, seed: int) -> Field:
    """Value noise in [0, 1] with one blotch a unit."""
    i, j = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    low = _lattice(i, j, seed) * (1 - u) + _lattice(i + 1, j, seed) * u
    high = _lattice(i, j + 1, seed) * (1 - u) + _lattice(i + 1, j + 1, seed) * u
    return low * (1 - v) + high * v


def _fractal(x: Field, y: Field, seed: int, octaves: int = 5) -> Field:
    """Noise of several scales, each finer and fainter, in [0, 1]."""
    weights = 0.5 ** np.arange(octaves)
    layers = (
        weight * _noise(x * 2**k + 17.3 * k, y * 2**k + 9.1 * k, seed + k)
        for k, weight in enumerate(weights)
    )
    return sum(layers) / weights.sum()


def _cells(x: Field, y: Field, seed: int) -> tuple[Field, Field, Field]:
    """Distance to the nearest and to the second nearest of scattered points; the nearest's number.

    There is one point in each unit square.
    """
    i, j = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    nearest = np.full(x.shape, np.inf, np.float32)
    second, number = nearest.copy(), np.zeros_like(nearest)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            a, b = i + di, j + dj
            px = a + 0.15 + 0.7 * _lattice(a, b, seed)
            py = b + 0.15 + 0.7 * _lattice(a, b, seed + 1)
            distance = np.hypot(x - px, y - py).astype(np.float32)
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            number = np.where(closer, _lattice(a, b, seed + 2), number)
            nearest = np.minimum(nearest, distance)
    return nearest, second, number


def _blend(t: Field, *colours: np.ndarray) -> np.ndarray:
    """Colours in a row, ``t`` in [0, 1] along it: ``(s, s, 3)``."""
    place = np.clip(t, 0, 1) * (len(colours) - 1)
    index = np.minimum(place.astype(int), len(colours) - 2)
    table, share = np.array(colours), (place - index)[..., None]
    return table[index] * (1 - share) + table[index + 1] * share


def _shade(height: Field, strength: float, rng: np.random.Generator) -> Field:
    """How much light a relief catches from one side: about 1, less on slopes turned away."""
    dy, dx = np.gradient(height)
    angle = rng.uniform(0, 2 * np.pi)
    return np.clip(1 + strength * (np.cos(angle) * dx + np.sin(angle) * dy), 0.25, 1.6)


def _varied(colour: tuple[float, float, float], rng: np.random.Generator, by: float) -> np.ndarray:
    # Lighter or darker by more than it changes its hue.
    return np.clip(np.array(colour) * np.exp(rng.normal(0, by) + rng.normal(0, 0.4 * by, 3)), 0, 1)


# Surfaces: (x, y, rng) -> (s, s, 3) in [0, 1]


def _marble(x: Field, y: Field, rng: np.random.Generator) -> np.ndarray:
    seed = int(rng.integers(2**31))
    bend = _fractal(0.5 * x, 0.5 * y, seed, 6)
    veins = 1 - np.abs(np.sin(0.7 * x + 9 * bend + rng.uniform(0, 6)))
    fine = 1 - np.abs(np.sin(1.6 * y + 12 * _fractal(x, y, seed + 50, 5)))
    dark = np.clip(0.75 * veins**7 + 0.35 * fine**10 + 0.25 * (bend - 0.4), 0, 1)
    stones = [(0.93, 0.92, 0.9), (0.86, 0.9, 0.86), (0.94, 0.87, 0.8), (0.25, 0.26, 0.29)]
    stone = _varied(stones[rng.integers(4)], rng, 0.03)
    vein = np.array([0.82, 0.8, 0.75]) if stone.max() < 0.5 else stone * rng.uniform(0.3, 0.5)
    return _blend(dark, stone, vein)


def _wood(x: Field, y: Field, rng: np.random.Generator) -> np.ndarray:
    seed = int(rng.integers(2**31))
    across = 0.9 * y + 1.1 * _fractal(0.12 * x, 0.6 * y, seed, 3)  # long grain lies along x
    rings = (across * rng.uniform(2.0, 3.5)) % 1
    fibre = _fractal(0.8 * x, 18 * y, seed + 40, 3)
    ring = np.minimum(rings / 0.75, (1 - rings) / 0.25)  # dark wood comes slowly and ends soon
    late = np.clip(0.7 * ring**2 + 0.9 * (fibre - 0.45), 0, 1)
    trees = [(0.8, 0.6, 0.38), (0.62, 0.4, 0.23), (0.45, 0.28, 0.17), (0.86, 0.72, 0.5)]
    early = _varied(trees[rng.integers(4)], rng, 0.05)
    return _blend(late, early, early * (0.62, 0.52, 0.45)) * (0.9 + 0.2 * fibre[..., None])


def _brick(x: Field, y: Field, rng: np.random.Generator) -> np.ndarray:
    seed = int(rng.integers(2**31))
    x = x + 0.03 * _fractal(3 * x, 3 * y, seed, 2)
    row = np.floor(y / 0.5)
    u, v = (x - 0.5 * (row % 2)) % 1, y / 0.5 % 1
    edge = np.minimum(np.minimum(u, 1 - u), 0.5 * np.minimum(v, 1 - v))
    brick = np.clip((edge - 0.025 - 0.02 * _noise(9 * x, 9 * y, seed)) / 0.03, 0, 1)
    column = np.floor(x - 0.5 * (row % 2)).astype(np.int64)
    own = _lattice(column, row.astype(np.int64), seed)
    rough = _fractal(7 * x, 7 * y, seed + 20, 4)
    clays = [(0.68, 0.31, 0.22), (0.55, 0.24, 0.19), (0.76, 0.5, 0.35), (0.8, 0.74, 0.66)]
    clay = _varied(clays[rng.integers(4)], rng, 0.06)
    mortar = _varied((0.76, 0.73, 0.68), rng, 0.04) * (0.85 + 0.3 * rough[..., None])
    face = clay * (0.72 + 0.35 * own + 0.4 * (rough - 0.4))[..., None]
    wall = mortar + brick[..., None] * (face - mortar)
    return wall * _shade(brick + 0.4 * rough, 0.5, rng)[..., None]


def _clouds(x: Field, y: Field, rng: np.random.Generator) -> np.ndarray:
    seed = int(rng.integers(2**31))
    x, y = 0.33 * x, 0.5 * y
    swirl = _fractal(x, y, seed, 3)
    mass = _fractal(x + 0.9 * swirl, y + 0.9 * swirl, seed + 10, 7)
    cover = np.clip((mass - rng.uniform(0.4, 0.5)) / 0.18, 0, 1)
    skies = [(0.25, 0.5, 0.85), (0.4, 0.62, 0.88), (0.2, 0.36, 0.66), (0.8, 0.62, 0.55)]
    zenith = _varied(skies[rng.integers(4)], rng, 0.05)
    down = np.linspace(0, 1, len(x))[:, None] * np.ones_like(x)
    sky = _blend(down, zenith, 0.5 * zenith + 0.45)
    body = np.clip(1.02 - 0.35 * np.clip((mass - 0.58) / 0.2, 0, 1), 0, 1)[..., None]
    return sky + cover[..., None] * (body * (0.97, 0.97, 1.0) - sky)


def _paving(x: Field, y: Field, rng: np.random.Generator) -> np.ndarray:
    seed = int(rng.integers(2**31))
    x = x + 0.25 * _noise(1.5 * x, 1.5 * y, seed + 5)
    nearest, second, number = _cells(1.1 * x, 1.1 * y, seed)
    gap = np.clip((second - nearest) / 0.28, 0, 1)
    dome = np.sqrt(1 - (1 - gap) ** 2)
    grain = _fractal(9 * x, 9 * y, seed + 30, 3)
    greys = [_varied(c, rng, 0.08) for c in [(0.45, 0.44, 0.43), (0.72, 0.66, 0.57)]]
    stones = _blend(number, greys[0], greys[1], _varied((0.58, 0.45, 0.38), rng, 0.08))
    stones = stones * (0.8 + 0.4 * grain[..., None]) * _shade(8 * dome, 0.9, rng)[..., None]
    ground = np.array([0.16, 0.14, 0.12])
    return ground + np.clip(1.6 * gap, 0, 1)[..., None] * (stones - ground)


TEXTURES: dict[str, Callable[[Field, Field, np.random.Generator], np.ndarray]] = {
    "marble": _marble,
    "wood": _wood,
    "brick": _brick,
    "clouds": _clouds,
    "paving stones": _paving,
}
