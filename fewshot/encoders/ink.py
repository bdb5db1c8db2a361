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
    working = _reduced(pixels)
    ink = _ink_share(_contrast_to_background(working))
    box = _box_of(ink)
    if box is None:
        return np.zeros((size, size), np.uint8)
    if working.shape != pixels.shape and _longer_side(box) < WORKING_SIDE / 2:
        # A small drawing on a large sheet: look again at its part of the sheet alone.
        closer = _reduced(_part(pixels, box, max(pixels.shape) / WORKING_SIDE))
        ink = _ink_share(_contrast_to_background(closer))
        box = _box_of(ink) or (0, ink.shape[0], 0, ink.shape[1])
    return _framed(ink, box, size)


def half_tones(pixels: np.ndarray) -> float:
    """Share of a picture's pixels that are neither ground nor ink, as photos have and drawings not.

    Args:
        pixels: ``(h, w, 3)`` uint8 RGB.
    """
    ink = _ink_share(_contrast_to_background(_reduced(pixels)))
    return float(((ink > 0.15) & (ink < 0.85)).mean())


def drawing_frame(pixels: np.ndarray) -> tuple[int, int, int, int] | None:
    """The square that :func:`find_ink` shows, as far as it lies in the picture.

    Args:
        pixels: ``(h, w, 3)`` uint8 RGB.

    Returns:
        Its top, bottom, left and right in the picture, or None when there is no drawing.
    """
    working = _reduced(pixels)
    box = _box_of(_ink_share(_contrast_to_background(working)))
    if box is None:
        return None
    scale = max(pixels.shape[:2]) / max(working.shape[:2])
    half = scale * _longer_side(box) / FILLED / 2
    frame: list[int] = []
    for start, end, limit in ((*box[:2], pixels.shape[0]), (*box[2:], pixels.shape[1])):
        centre = scale * (start + end) / 2
        frame += [max(0, round(centre - half)), min(limit, round(centre + half))]
    return tuple(frame)


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
    if border.std(0).max() < 2:  # an even background, as any drawing pad gives
        return _largest_difference(rgb, flat)
    return _largest_difference(rgb, _quadratic_surface(rgb, flat))


def _largest_difference(rgb: np.ndarray, background: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(np.abs(rgb - background), 2, 0)
    return np.maximum(np.maximum(red, green), blue)  # far faster than max(axis=2)


def _quadratic_surface(rgb: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """A quadratic in x and y through the background, light on paper: ``(h, w, 3)``.

    Least squares over the 60% of pixels nearest to the last estimate, beginning with a flat one;
    ink seldom covers more than the rest.
    """
    h, w = rgb.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], 2).astype(np.float32)
    step = max(1, min(h, w) // 40)  # some 1,600 samples determine six coefficients well
    sampled, sampled_terms = rgb[::step, ::step], terms[::step, ::step]
    estimate = flat
    for _ in range(4):
        contrast = _largest_difference(sampled, estimate)
        trusted = contrast <= np.quantile(contrast, 0.6)
        coefficients, *_ = np.linalg.lstsq(sampled_terms[trusted], sampled[trusted], rcond=None)
        estimate = sampled_terms @ coefficients
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
    between = np.nan_to_num(between[:-1], nan=-1.0)  # nan where all values are on one side
    return float((1 + between.argmax()) * width)


def _box_of(ink: np.ndarray) -> tuple[int, int, int, int] | None:
    """Top, bottom, left, right of the ink, or None where there is none."""
    rows = np.flatnonzero((ink > 0.5).any(1))
    columns = np.flatnonzero((ink > 0.5).any(0))
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _longer_side(box: tuple[int, int, int, int]) -> int:
    top, bottom, left, right = box
    return max(bottom - top, right - left)


def _part(pixels: np.ndarray, box: tuple[int, int, int, int], scale: float) -> np.ndarray:
    """The part of the full picture around a box found in the reduced one, half a side wider."""
    margin = _longer_side(box) / 2
    top, bottom, left, right = box
    y0, x0 = (max(0, int((start - margin) * scale)) for start in (top, left))
    y1, x1 = (int((end + margin) * scale) + 1 for end in (bottom, right))
    return pixels[y0:y1, x0:x1]


def _framed(ink: np.ndarray, box: tuple[int, int, int, int], size: int) -> np.ndarray:
    """Crop a square around the box and resize it to ``(size, size)`` uint8."""
    top, bottom, left, right = box
    side = _longer_side(box) / FILLED
    margin = int(np.ceil(side))  # so that the square never leaves the padded picture
    padded = np.pad(ink, margin)
    centre_y = (top + bottom) / 2 + margin
    centre_x = (left + right) / 2 + margin
    corners = (centre_x - side / 2, centre_y - side / 2, centre_x + side / 2, centre_y + side / 2)
    framed = Image.fromarray((padded * 255).astype(np.uint8)).resize(
        (size, size), Image.Resampling.BILINEAR, box=corners
    )
    return np.asarray(framed)
