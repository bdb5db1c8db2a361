"""From any picture of a drawing to centred, scaled ink: dark or light, coloured, photographed.

Every encoder for drawings sees its pictures through :func:`find_ink`, in training, in
evaluation and on the page alike.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

# Ink is looked for at this size: enough for a stroke in a photographed sheet, and quick.
WORKING_SIDE = 160
# A picture whose strongest contrast to its background is below this (of 255) shows no drawing.
FAINTEST_INK = 24
# Raise it when find_ink changes what it returns: prepared data is cached under it.
INK_VERSION = 1
# Share of the output square that the drawing's longer side takes.
FILLED = 0.86


def find_ink(pixels: np.ndarray, size: int) -> np.ndarray:
    """Find the drawing, centre it, scale it to fill the frame.

    The background is taken to be smooth (flat, or lit unevenly) and to reach the border; ink is
    what differs from it in any colour channel, so dark on light and light on dark come out the
    same. The position of the drawing in the picture and its size are lost on purpose.

    Args:
        pixels: ``(h, w, 3)`` uint8 RGB.
        size: side of the result in pixels.

    Returns:
        ``(size, size)`` uint8, ink 255, background 0; all zero when there is no drawing.
    """
    contrast = _contrast_to_background(_reduced(pixels))
    ink = _ink_share(contrast)
    return _framed(ink, size)


def _reduced(pixels: np.ndarray) -> np.ndarray:
    """``(h, w, 3)`` float32 with the longer side at most WORKING_SIDE."""
    longer = max(pixels.shape[:2])
    if longer > WORKING_SIDE:
        scale = WORKING_SIDE / longer
        h, w = (max(1, round(side * scale)) for side in pixels.shape[:2])
        pixels = np.asarray(Image.fromarray(pixels).resize((w, h), Image.Resampling.BOX))
    return pixels.astype(np.float32)


def _contrast_to_background(rgb: np.ndarray) -> np.ndarray:
    """Largest channel difference from the estimated background: ``(h, w)`` in 0..255."""
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    flat = np.median(border, axis=0)
    contrast = np.abs(rgb - flat).max(2)
    if border.std(0).max() < 2:
        return contrast  # an even background, as any drawing pad gives
    for _ in range(4):
        surface = _quadratic_surface(rgb, contrast)
        contrast = np.abs(rgb - surface).max(2)
    return contrast


def _quadratic_surface(rgb: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    """Least-squares quadratic through the pixels nearest the last estimate: light on paper.

    The 60% of pixels with the least contrast are trusted; ink seldom covers more than the rest.
    """
    h, w = contrast.shape
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], 2).astype(np.float32)
    step = max(1, min(h, w) // 40)  # some 1,600 samples determine six coefficients well
    sampled = contrast[::step, ::step]
    trusted = sampled <= np.quantile(sampled, 0.6)
    coefficients, *_ = np.linalg.lstsq(
        terms[::step, ::step][trusted], rgb[::step, ::step][trusted], rcond=None
    )
    return terms @ coefficients


def _ink_share(contrast: np.ndarray) -> np.ndarray:
    """``(h, w)`` float32 in 0..1: a soft step at Otsu's threshold between paper and ink."""
    if contrast.max() < FAINTEST_INK:
        return np.zeros_like(contrast)
    threshold = max(_otsu(contrast), FAINTEST_INK / 2)
    return np.clip((contrast / threshold - 0.6) / 0.8, 0, 1)


def _otsu(values: np.ndarray) -> float:
    """Threshold that best splits values into two groups (Otsu 1979)."""
    width = float(values.max()) / 63
    counts = np.bincount((values / width).astype(np.int64).ravel(), minlength=64)
    centres = (np.arange(64) + 0.5) * width
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float((1 + np.nanargmax(between[:-1])) * width)


def _framed(ink: np.ndarray, size: int) -> np.ndarray:
    """Crop a square around the ink and resize it to ``(size, size)`` uint8."""
    rows = np.flatnonzero((ink > 0.5).any(1))
    columns = np.flatnonzero((ink > 0.5).any(0))
    if not len(rows):
        return np.zeros((size, size), np.uint8)
    top, bottom = rows[0], rows[-1] + 1
    left, right = columns[0], columns[-1] + 1
    side = max(bottom - top, right - left) / FILLED
    margin = int(np.ceil(side))  # so that the square never leaves the padded picture
    padded = np.pad(ink, margin)
    centre_y = (top + bottom) / 2 + margin
    centre_x = (left + right) / 2 + margin
    box = (centre_x - side / 2, centre_y - side / 2, centre_x + side / 2, centre_y + side / 2)
    framed = Image.fromarray((padded * 255).astype(np.uint8)).resize(
        (size, size), Image.Resampling.BILINEAR, box=box
    )
    return np.asarray(framed)
