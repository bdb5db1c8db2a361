"""Drawings as people hand them in: the same ink on other surfaces, in other places.

Each takes a drawing, ``(h, w, 3)`` uint8 dark on white, and a generator, and returns
``(h', w', 3)`` uint8. They measure how much an encoder minds; nothing is trained on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from fewshot.data.pool import Pool
from fewshot.episodes import Episodes
from fewshot.types import InputError, Picture


def _cover(pixels: np.ndarray) -> np.ndarray:
    """``(h, w, 1)`` float32: 1 where there is ink."""
    return 1 - pixels.astype(np.float32).mean(2, keepdims=True) / 255


def _painted(cover: np.ndarray, ink: np.ndarray, ground: np.ndarray) -> np.ndarray:
    return np.clip(ground + cover * (ink - ground), 0, 255).astype(np.uint8)


def inverted(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light on dark."""
    return 255 - pixels


def coloured(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random strong ink on a random pale ground."""
    ink = rng.permutation([rng.uniform(0, 60), rng.uniform(0, 160), rng.uniform(120, 200)])
    return _painted(_cover(pixels), ink, rng.uniform(225, 255, 3))


def thick(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strokes of twice the width: Omniglot's are two to three pixels wide."""
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(pixels)).filter(ImageFilter.MinFilter(3))
    )


def off_centre(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Somewhere on a sheet of twice to three times the size."""
    h, w = pixels.shape[:2]
    height, width = (round(side * rng.uniform(2, 3)) for side in (h, w))
    sheet = np.full((height, width, 3), 255, np.uint8)
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    sheet[top : top + h, left : left + w] = pixels
    return sheet


def on_paper(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A photograph of a sheet: askew, lit from one side, blurred, noisy, with grey-blue ink."""
    sheet = off_centre(pixels, rng)
    angle = float(rng.uniform(-6, 6))
    turned = Image.fromarray(sheet).resize((256, 256), Image.Resampling.BILINEAR)
    turned = turned.rotate(angle, Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))
    x = np.linspace(-0.5, 0.5, 256, dtype=np.float32)
    direction = rng.uniform(0, 2 * np.pi)
    slope = np.cos(direction) * x[:, None] + np.sin(direction) * x
    light = (1 - rng.uniform(0.1, 0.25) + rng.uniform(0.1, 0.3) * slope)[..., None]
    page = _painted(_cover(np.asarray(turned)), rng.uniform(20, 70, 3), np.array([246, 241, 230]))
    lit = np.clip(page * light, 0, 255)  # what is lit too brightly is white, as a camera has it
    soft = Image.fromarray(lit.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))
    noisy = np.asarray(soft, np.float32) + rng.normal(0, 3, (256, 256, 1))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def blurred(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus: a Gaussian of a standard deviation of 2.5 to 4 pixels at a side of 105.

    Omniglot's strokes are two to three pixels wide there, so they run into their neighbours.
    """
    radius = rng.uniform(2.5, 4) * max(pixels.shape[:2]) / 105
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))


def rough(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A broad pen, photographed from afar and out of focus: thick, on paper, blurred, 96×96."""
    broad = thick(thick(pixels, rng), rng)
    soft = Image.fromarray(on_paper(broad, rng)).filter(ImageFilter.GaussianBlur(3))
    return np.asarray(soft.resize((96, 96), Image.Resampling.BOX))


DISTORTIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "inverted": inverted,
    "coloured": coloured,
    "thick": thick,
    "off-centre": off_centre,
    "paper": on_paper,
    "blurred": blurred,
    "rough": rough,
}


def distort(
    pool: Pool, episodes: Sequence[Episodes], name: str, seed: int, *, queries_only: bool = False
) -> tuple[Pool, list[Episodes]]:
    """The pool's pictures distorted, each with a generator of its own.

    Args:
        pool: as it is.
        episodes: sets of them, as they are.
        name: in DISTORTIONS.
        seed: of the distortions.
        queries_only: leave the supports as they are: what is shown and what is asked then come
            from two domains.

    Raises:
        InputError: there is no such distortion.
    """
    if name not in DISTORTIONS:
        raise InputError(f"There is no distortion “{name}”: choose {', '.join(DISTORTIONS)}.")
    used = np.zeros(len(pool.pictures), bool)  # the others are nowhere looked at
    for batch in (batch for drawn in episodes for batch in drawn.batches()):
        used[batch.queries] = True
        if not queries_only:
            used[batch.support] = True
    change = DISTORTIONS[name]
    changed = [
        Picture(picture.name, change(picture.pixels, np.random.default_rng((seed, i))))
        if used[i]
        else picture
        for i, picture in enumerate(pool.pictures)
    ]
    if not queries_only:
        return replace(pool, pictures=changed), list(episodes)
    n = len(changed)
    both = replace(
        pool, pictures=[*pool.pictures, *changed], labels=np.concatenate([pool.labels] * 2)
    )
    moved = [
        drawn.changed(lambda batch: replace(batch, queries=batch.queries + n)) for drawn in episodes
    ]
    return both, moved
