"""Random views against a sampler written as plain loops, and on pictures with a known answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fewshot.encoders.augment import CELLS, DRAWN, Augmentation, augment, draw

SIDE = 20
STILL = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
MIDDLE = 0.5  # a drawn number that changes nothing


def random_ink(count: int = 6, side: int = SIDE, seed: int = 0) -> Tensor:
    """Grey noise inside an empty margin, with no symmetry."""
    generator = torch.Generator().manual_seed(seed)
    ink = torch.zeros(count, side, side, dtype=torch.uint8)
    shape = (count, side - 6, side - 6)
    ink[:, 3:-3, 3:-3] = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    return ink


def numbers(count: int, **changed: float) -> Tensor:
    """Drawn numbers that change nothing but what is named."""
    names = ["rotation", "shear_x", "shear_y", "scale_x", "scale_y", "shift_x", "shift_y"]
    names += ["thickening", *(f"bend {i}" for i in range(2 * CELLS**2))]
    assert len(names) == DRAWN
    drawn = torch.full((count, DRAWN), MIDDLE)
    for name, value in changed.items():
        drawn[:, names.index(name)] = value
    return drawn


def in_unit(ink: Tensor) -> Tensor:
    return ink[:, None].float() / 255


def test_middle_numbers_give_the_picture_itself() -> None:
    ink = random_ink()
    views = augment(ink, numbers(6), Augmentation(thickening=0.0))
    assert views.shape == (6, 1, SIDE, SIDE)
    assert views.dtype == torch.float32
    torch.testing.assert_close(views, in_unit(ink), rtol=0, atol=1e-5)


def test_ranges_of_zero_give_the_picture_itself_whatever_is_drawn() -> None:
    ink = random_ink()
    views = augment(ink, torch.rand(6, DRAWN), STILL)
    torch.testing.assert_close(views, in_unit(ink), rtol=0, atol=1e-5)


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_are_anticlockwise_like_rot90(turns: int) -> None:
    ink = random_ink()
    views = augment(ink, numbers(6), STILL, torch.full((6,), turns))
    turned = torch.rot90(in_unit(ink), turns, (2, 3))
    torch.testing.assert_close(views, turned, rtol=0, atol=1e-5)


def test_a_turned_character_is_augmented_as_if_it_had_been_drawn_turned() -> None:
    ink, drawn, ranges = random_ink(8), torch.rand(8, DRAWN), Augmentation()
    turns = torch.arange(8) % 4
    drawn_turned = torch.stack(
        [torch.rot90(picture, int(k)) for picture, k in zip(ink, turns, strict=True)]
    )
    ours, expected = augment(ink, drawn, ranges, turns), augment(drawn_turned, drawn, ranges)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("axis", "value", "pixels"),
    [("shift_x", 1.0, 4), ("shift_x", 0.0, -4), ("shift_y", 1.0, 4), ("shift_y", 0.75, 2)],
)
def test_translation_by_whole_pixels(axis: str, value: float, pixels: int) -> None:
    # A fifth of a side of 20 pixels is 4 of them; at 0.75 half of that.
    ink = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    ink[0, 6:14, 6:14] = random_ink()[0, 6:14, 6:14]
    views = augment(ink, numbers(1, **{axis: value}), Augmentation(translation=0.2, thickening=0))
    dimension = 3 if axis == "shift_x" else 2
    # The sampling point moves by so many pixels; the picture seems to move the other way.
    expected = in_unit(ink).roll(-pixels, dimension)
    torch.testing.assert_close(views, expected, rtol=0, atol=1e-5)


def test_what_leaves_the_frame_is_gone_and_what_enters_is_empty() -> None:
    ink = torch.full((1, SIDE, SIDE), 255, dtype=torch.uint8)
    views = augment(ink, numbers(1, shift_x=1.0), Augmentation(translation=0.2, thickening=0))
    expected = torch.ones(1, 1, SIDE, SIDE)
    expected[..., -4:] = 0
    torch.testing.assert_close(views, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("axis", "value", "wide", "high"),
    # Half the range of 0.5: sampling at 0.5 of the distance to the centre doubles the picture.
    [("scale_x", 0.0, 12, 6), ("scale_y", 0.0, 6, 12), ("scale_x", 1.0, 4, 6)],
)
def test_scale_stretches_one_side(axis: str, value: float, wide: int, high: int) -> None:
    ink = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    ink[0, 7:13, 7:13] = 255
    (view,) = augment(ink, numbers(1, **{axis: value}), Augmentation(scale=0.5, thickening=0))[0]
    # Its ink is its area, and its extent along the middle is its side.
    assert view[SIDE // 2].sum().item() == pytest.approx(wide, abs=0.3)
    assert view[:, SIDE // 2].sum().item() == pytest.approx(high, abs=0.3)
    middle = (torch.arange(SIDE) + 0.5) @ view.sum(0) / view.sum()
    assert middle.item() == pytest.approx(SIDE / 2, abs=1e-4)


def test_a_full_rotation_range_of_90_degrees_is_a_quarter_turn() -> None:
    ink, ranges = random_ink(), Augmentation(rotation=90.0, thickening=0)
    for value, turns in ((1.0, 1), (0.0, -1)):
        views = augment(ink, numbers(6, rotation=value), ranges)
        turned = torch.rot90(in_unit(ink), turns, (2, 3))
        torch.testing.assert_close(views, turned, rtol=0, atol=1e-4)


def test_a_bend_moves_one_corner_and_leaves_the_others() -> None:
    ink, drawn = random_ink(), numbers(6)
    drawn[:, 8] = 1.0  # the x of the grid's first point, top left
    views = augment(ink, drawn, Augmentation(0, 0, 0, 0, 0, elastic=0.1))
    moved = (views - in_unit(ink)).abs().amax((0, 1)) > 1e-4
    # It fades to nothing a cell further: a third of the way across and down.
    cell = math.ceil((SIDE - 1) / (CELLS - 1))
    assert moved[:cell, :cell].any()
    assert not moved[cell:].any()
    assert not moved[:, cell:].any()


def test_shear_moves_rows_in_proportion_to_their_height() -> None:
    ink = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    ink[0, :, 9:11] = 255  # an upright bar
    view = augment(ink, numbers(1, shear_x=1.0), Augmentation(shear=0.2, thickening=0))[0, 0]
    middles = view @ (torch.arange(SIDE) - 9.5) / view.sum(1)
    expected = -0.2 * (torch.arange(SIDE) - 9.5)
    torch.testing.assert_close(middles, expected, rtol=0, atol=1e-4)
    # A shear in y leaves an upright bar upright.
    view = augment(ink, numbers(1, shear_y=1.0), Augmentation(shear=0.2, thickening=0))[0, 0]
    torch.testing.assert_close(view[3:-3], in_unit(ink)[0, 0, 3:-3], rtol=0, atol=1e-4)


def between(coarse: np.ndarray, down: float, right: float) -> float:
    """A grid's value at a share of its height and width, bilinearly from the points around."""
    row, column = down * (len(coarse) - 1), right * (len(coarse) - 1)
    value = 0.0
    for i in range(len(coarse)):
        for j in range(len(coarse)):
            value += max(0, 1 - abs(row - i)) * max(0, 1 - abs(column - j)) * coarse[i, j]
    return value


def naive_view(picture: np.ndarray, drawn: np.ndarray, ranges: Augmentation) -> np.ndarray:
    """Each pixel looked up where rotation · shear · scale, a shift and a bend take it."""
    side = len(picture)
    u = 2 * drawn - 1
    angle = math.radians(u[0] * ranges.rotation)
    rotation = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    shear = [[1, u[1] * ranges.shear], [u[2] * ranges.shear, 1]]
    scale = [[1 + u[3] * ranges.scale, 0], [0, 1 + u[4] * ranges.scale]]
    matrix = np.array(rotation) @ np.array(shear) @ np.array(scale)
    shift = u[5:7] * ranges.translation * side
    bends = u[8:].reshape(2, CELLS, CELLS) * ranges.elastic * side
    view = np.zeros((side, side))
    middle = (side - 1) / 2
    for y in range(side):
        for x in range(side):
            at = matrix @ np.array([x - middle, y - middle]) + shift + middle
            at += [between(bend, y / (side - 1), x / (side - 1)) for bend in bends]
            left, top = math.floor(at[0]), math.floor(at[1])
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                row, column = top + i, left + j
                if 0 <= row < side and 0 <= column < side:
                    weight = (1 - abs(at[1] - row)) * (1 - abs(at[0] - column))
                    view[y, x] += weight * picture[row, column]
    return view


@pytest.mark.parametrize("elastic", [0.0, 0.1])
def test_views_equal_a_plain_loop(elastic: float) -> None:
    ink, drawn = random_ink(5, 12), torch.rand(5, DRAWN, generator=torch.Generator().manual_seed(1))
    ranges = Augmentation(25.0, 0.3, 0.3, 0.15, 0.0, elastic)
    views = augment(ink, drawn, ranges)[:, 0].double().numpy()
    for picture, row, view in zip(ink.numpy(), drawn.double().numpy(), views, strict=True):
        np.testing.assert_allclose(view, naive_view(picture / 255, row, ranges), atol=2e-5)


def dilated(picture: np.ndarray) -> np.ndarray:
    side = len(picture)
    return np.array(
        [
            [picture[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].max() for x in range(side)]
            for y in range(side)
        ]
    )


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_thickening_blends_towards_a_dilation(share: float) -> None:
    ink = random_ink()
    amount = min(0.8 * share, 0.8 - 1e-7)  # what is drawn below the chance says how much
    ranges = Augmentation(0, 0, 0, 0, thickening=0.8)
    views = augment(ink, numbers(6, thickening=amount), ranges)[:, 0].numpy()
    for picture, view in zip(in_unit(ink)[:, 0].numpy(), views, strict=True):
        expected = picture + share * (dilated(picture) - picture)
        np.testing.assert_allclose(view, expected, atol=2e-5)


def test_only_the_chosen_share_is_thickened() -> None:
    ink, drawn = random_ink(), numbers(6)
    drawn[:, 7] = torch.tensor([0.1, 0.3, 0.9, 0.29, 0.5, 0.31])
    views = augment(ink, drawn, Augmentation(0, 0, 0, 0, thickening=0.3))
    thicker = (views - in_unit(ink)).amax((1, 2, 3)) > 0.01
    assert thicker.tolist() == [True, False, False, True, False, False]


def test_a_view_depends_on_its_own_row_alone() -> None:
    ink, drawn = random_ink(), torch.rand(6, DRAWN)
    turns = torch.tensor([0, 1, 2, 3, 0, 1])
    together = augment(ink, drawn, Augmentation(), turns)
    for i in (0, 3, 5):
        alone = augment(ink[i : i + 1], drawn[i : i + 1], Augmentation(), turns[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-5)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    shuffled = augment(ink[order], drawn[order], Augmentation(), turns[order])
    torch.testing.assert_close(shuffled, together[order], rtol=0, atol=1e-5)


def test_equal_rows_give_equal_views_and_others_differ() -> None:
    ink, drawn = random_ink(1).expand(3, -1, -1), torch.rand(3, DRAWN)
    drawn[1] = drawn[0]
    views = augment(ink, drawn, Augmentation())
    torch.testing.assert_close(views[0], views[1], rtol=0, atol=1e-6)
    assert (views[0] - views[2]).abs().max() > 0.1


def test_values_stay_in_range_and_the_picture_is_left_alone() -> None:
    ink = torch.randint(256, (64, SIDE, SIDE), dtype=torch.uint8)
    before = ink.clone()
    views = augment(ink, torch.rand(64, DRAWN), Augmentation(180, 0.5, 0.5, 0.3, 1.0, 0.2))
    assert torch.isfinite(views).all()
    assert views.min() >= 0
    assert views.max() <= 1 + 1e-6
    assert torch.equal(ink, before)


def test_views_are_as_exact_under_autocast() -> None:
    # Training augments inside a bf16 context; coordinates in bf16 would be off by a tenth pixel.
    ink, drawn = random_ink(), torch.rand(6, DRAWN)
    turns = torch.tensor([0, 1, 2, 3, 0, 1])
    expected = augment(ink, drawn, Augmentation(), turns)
    with torch.autocast("cpu", torch.bfloat16):
        views = augment(ink, drawn, Augmentation(), turns)
    torch.testing.assert_close(views, expected, rtol=0, atol=1e-5)


def test_draw_is_uniform_and_seeded() -> None:
    drawn = draw(2000, torch.Generator().manual_seed(4))
    assert drawn.shape == (2000, DRAWN)
    assert torch.equal(drawn, draw(2000, torch.Generator().manual_seed(4)))
    assert drawn.min() >= 0
    assert drawn.max() < 1
    # 0.5 ± 0.0065 for the mean of 2,000; five deviations.
    assert (drawn.mean(0) - 0.5).abs().max() < 5 * 0.0065
