"""The same drawing in any ink, light and place gives the same picture; nothing gives nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fewshot.encoders.ink import FAINTEST_INK, FILLED, find_ink

SIZE = 40
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
ZIGZAG = [(0.25, 0.3), (0.6, 0.25), (0.75, 0.5), (0.45, 0.55), (0.3, 0.8), (0.7, 0.75)]
ARCH = [(0.3, 0.8), (0.25, 0.4), (0.5, 0.2), (0.75, 0.4), (0.7, 0.8)]


def cover(points=ZIGZAG, drawn=80, side=80, left=0.0, top=0.0, width=0.05) -> np.ndarray:
    """Share of each pixel that ink covers, ``(side, side)``, of a line within ``drawn`` pixels."""
    fine = 8
    page = Image.new("L", (side * fine, side * fine))
    line = [((x * drawn + left) * fine, (y * drawn + top) * fine) for x, y in points]
    ImageDraw.Draw(page).line(line, 255, round(width * drawn * fine), "curve")
    return np.asarray(page.resize((side, side), Image.Resampling.BOX), float) / 255


def painted(ink: np.ndarray, paper=WHITE, colour=BLACK) -> np.ndarray:
    mixed = np.array(paper) * (1 - ink[..., None]) + np.array(colour) * ink[..., None]
    return np.rint(mixed).astype(np.uint8)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Ink that one has and the other lacks, as a share of what either has: 0 to 1."""
    a, b = a.astype(float), b.astype(float)
    return np.abs(a - b).sum() / np.maximum(a, b).sum()


BASE = find_ink(painted(cover()), SIZE)
# What moving the result by one pixel makes of it; half of that is the tolerance for a drawing
# scanned at another place or size, whose pixels cannot fall on the same places.
PIXEL = max(difference(BASE, np.roll(BASE, 1, axis)) for axis in (0, 1))
# The same pixels in other colours differ by the rounding of grey values to whole numbers alone.
ROUNDING = 0.02


def check_same(pixels: np.ndarray, tolerance: float) -> None:
    ink = find_ink(pixels, SIZE)
    assert ink.shape == (SIZE, SIZE)
    assert ink.dtype == np.uint8
    assert difference(BASE, ink) <= tolerance


def test_the_measure_tells_drawings_apart() -> None:
    other = find_ink(painted(cover(ARCH)), SIZE)
    assert difference(BASE, other) > PIXEL
    assert difference(BASE, BASE.T) > PIXEL
    assert ROUNDING < PIXEL / 10


def test_light_on_dark_is_the_same() -> None:
    np.testing.assert_array_equal(find_ink(255 - painted(cover()), SIZE), BASE)


@pytest.mark.parametrize(
    ("paper", "colour"),
    [
        (WHITE, (220, 20, 30)),
        ((250, 240, 120), (30, 60, 200)),
        (BLACK, (255, 255, 0)),
        ((60, 160, 60), (200, 60, 60)),  # much the same grey
        (WHITE, (200, 200, 200)),
        (WHITE, (255 - FAINTEST_INK - 4,) * 3),
    ],
)
def test_coloured_and_faint_ink_is_the_same(paper, colour) -> None:
    check_same(painted(cover(), paper, colour), ROUNDING)


def test_position_and_margins_are_lost() -> None:
    for left, top in ((0, 0), (40, 0), (25, 31), (-10, -10)):
        pixels = painted(cover(side=120, left=left, top=top))
        np.testing.assert_array_equal(find_ink(pixels, SIZE), BASE)
    wide = np.pad(painted(cover()), ((3, 10), (60, 0), (0, 0)), constant_values=255)
    np.testing.assert_array_equal(find_ink(wide, SIZE), BASE)


def test_no_margin_at_all() -> None:
    pixels = painted(cover())
    rows, columns = ((pixels < 250).any((1, 2)), (pixels < 250).any((0, 2)))
    check_same(pixels[rows][:, columns], ROUNDING)


@pytest.mark.parametrize("side", [120, 160, 240, 400, 1000])
def test_size_is_lost(side: int) -> None:
    check_same(painted(cover(drawn=side, side=side)), PIXEL / 2)
    check_same(255 - painted(cover(drawn=side, side=side)), PIXEL / 2)


def test_enlarged_pixel_by_pixel() -> None:
    for times in (2, 3, 7):
        check_same(np.kron(painted(cover()), np.ones((times, times, 1), np.uint8)), PIXEL / 2)


def test_half_a_pixel_aside() -> None:
    check_same(painted(cover(left=0.5, top=0.5)), PIXEL / 2)


@pytest.mark.parametrize(("left", "top"), [(0, 0), (700, 600), (790, 30), (400, 790)])
def test_a_small_drawing_on_a_large_sheet(left: int, top: int) -> None:
    check_same(painted(cover(drawn=100, side=900, left=left, top=top)), PIXEL / 2)


@pytest.mark.parametrize("high", [80, 90, 96, 100])
@pytest.mark.parametrize("upright", [False, True])
def test_a_small_drawing_at_the_end_of_a_long_strip(high: int, upright: bool) -> None:
    # 1,500 pixels become 160 and 80 to 100 become 9 to 11: not quite in the same proportion.
    strip = np.full((high, 1500, 3), 255, np.uint8)
    strip[:80, -80:] = painted(cover())
    if upright:
        strip = strip.swapaxes(0, 1)
    ink = find_ink(strip, SIZE)
    assert difference(BASE.T if upright else BASE, ink) <= PIXEL / 2


def light(kind: str, side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / (side - 1)
    return {
        "from the left": 170 + 70 * x,
        "dim": 90 + 70 * y,
        "a lamp": 240 - 80 * (x - 0.3) ** 2 - 60 * (y - 0.6) ** 2,
        "across": 150 + 50 * x + 40 * y,
    }[kind]


@pytest.mark.parametrize("kind", ["from the left", "dim", "a lamp", "across"])
@pytest.mark.parametrize("side", [80, 400])
def test_uneven_light_is_the_same(kind: str, side: int) -> None:
    noise = np.random.default_rng(0).normal(0, 3, (side, side, 3))
    paper = light(kind, side)[..., None] * (1 - 0.8 * cover(drawn=side, side=side)[..., None])
    photograph = (paper + noise).clip(0, 255).astype(np.uint8)
    check_same(photograph, PIXEL / 2)
    check_same(255 - photograph, PIXEL / 2)


def test_half_the_sheet_lit_alone_is_no_drawing() -> None:
    for kind in ("from the left", "dim", "a lamp", "across"):
        paper = light(kind, 100)[..., None].repeat(3, 2).astype(np.uint8)
        assert not find_ink(paper, SIZE).any()


@pytest.mark.parametrize("colour", [WHITE, BLACK, (128, 128, 128), (10, 200, 90)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (30, 40), (300, 20)])
def test_blank_gives_zeros(colour, shape) -> None:
    pixels = np.full((*shape, 3), colour, np.uint8)
    ink = find_ink(pixels, SIZE)
    assert ink.shape == (SIZE, SIZE)
    assert not ink.any()


def test_noise_fainter_than_ink_is_no_drawing() -> None:
    rng = np.random.default_rng(0)
    speck = FAINTEST_INK // 4
    pixels = (200 + rng.integers(-speck, speck + 1, (60, 60, 3))).astype(np.uint8)
    assert not find_ink(pixels, SIZE).any()


@pytest.mark.parametrize(
    ("high", "wide", "top", "left"),
    [(12, 30, 5, 40), (30, 12, 50, 3), (20, 20, 30, 30), (3, 60, 10, 10)],
)
@pytest.mark.parametrize("size", [40, 100])
def test_the_drawing_is_centred_and_fills_its_share(high, wide, top, left, size) -> None:
    pixels = np.full((90, 90, 3), 255, np.uint8)
    pixels[top : top + high, left : left + wide] = 0
    dark = find_ink(pixels, size) > 127
    longer = max(high, wide)
    for own, extent in ((dark.any(1), high), (dark.any(0), wide)):
        # The longer side takes FILLED of the frame, the shorter in proportion, both centred.
        expected = FILLED * size * extent / longer
        filled = np.flatnonzero(own)
        assert abs(filled[0] - (size - expected) / 2) <= 1
        assert abs(filled[-1] + 1 - (size + expected) / 2) <= 1
        assert own[filled[0] : filled[-1] + 1].all()


def test_one_pixel_is_a_drawing_in_the_middle() -> None:
    for top, left in ((7, 33), (0, 0), (49, 20)):
        pixels = np.full((50, 50, 3), 255, np.uint8)
        pixels[top, left] = 0
        ink = find_ink(pixels, SIZE).astype(int)
        np.testing.assert_array_equal(ink, ink[::-1])
        np.testing.assert_array_equal(ink, ink[:, ::-1])
        # Its edges lie where the pixel's half-covered neighbours would be.
        assert (ink > 127).any(0).sum() == pytest.approx(FILLED * SIZE, abs=1)
        assert ink[SIZE // 2, SIZE // 2] > 230


def test_what_reaches_the_border_is_found() -> None:
    pixels = np.full((60, 60, 3), 255, np.uint8)
    pixels[20:23] = 0
    pixels[:, 30:33] = 0
    dark = find_ink(pixels, 100) > 127
    # Bars of 3 in 60 pixels: 4.3 of the 86 that 60 become, crossing at (21.5, 31.5) of 60.
    assert dark[50].sum() == pytest.approx(4.3, abs=1)
    assert dark[25].sum() == pytest.approx(4.3, abs=1)
    across, down = (
        np.flatnonzero(dark.all(1) | (dark.sum(1) > 80)),
        np.flatnonzero(dark.sum(0) > 80),
    )
    assert across.mean() + 0.5 == pytest.approx(7 + 21.5 / 60 * 86, abs=1)
    assert down.mean() + 0.5 == pytest.approx(7 + 31.5 / 60 * 86, abs=1)


def test_turning_the_picture_turns_the_result() -> None:
    pixels = painted(cover())
    for turns in (1, 2, 3):
        turned = find_ink(np.rot90(pixels, turns), SIZE)
        assert difference(np.rot90(BASE, turns), turned) < ROUNDING


def test_the_picture_is_left_alone_and_may_be_a_view() -> None:
    grey = painted(cover())[..., 0]
    view = np.broadcast_to(grey[..., None], (*grey.shape, 3))  # not contiguous, not writable
    np.testing.assert_array_equal(find_ink(view, SIZE), BASE)
    large = np.broadcast_to(grey.repeat(4, 0).repeat(4, 1)[..., None], (320, 320, 3))
    check_same(large, PIXEL / 2)
    pixels = painted(cover())
    find_ink(pixels, SIZE)
    np.testing.assert_array_equal(pixels, painted(cover()))


@pytest.mark.parametrize("shape", [(2, 500), (500, 2), (1, 3000), (3000, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("size", [1, 40])
def test_odd_shapes_crash_nothing(shape, size: int) -> None:
    rng = np.random.default_rng(0)
    dot = np.full((*shape, 3), 255, np.uint8)
    dot[shape[0] // 2, shape[1] // 2] = 0
    for pixels in (dot, 255 - dot, rng.integers(0, 256, (*shape, 3)).astype(np.uint8)):
        ink = find_ink(pixels, size)
        assert ink.shape == (size, size)
        assert ink.dtype == np.uint8


def test_every_tiny_black_and_white_picture_crashes_nothing() -> None:
    shapes = [(1, 2), (2, 2), (1, 4), (4, 1), (2, 3), (1, 8), (2, 4), (4, 2)]
    for high, wide in shapes:
        for dots in itertools.product((0, 255), repeat=high * wide - 1):
            pixels = np.array((0, *dots), np.uint8).reshape(high, wide, 1).repeat(3, 2)
            assert find_ink(pixels, 8).shape == (8, 8)
