"""Distortions: what each does to a drawing, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fewshot.data.distortions import DISTORTIONS, distort
from fewshot.data.pool import Pool
from fewshot.episodes import EpisodeBatch, Episodes
from fewshot.types import InputError, Picture


def stroke() -> np.ndarray:
    """A vertical stroke three pixels wide on white, 105×105."""
    pixels = np.full((105, 105, 3), 255, np.uint8)
    pixels[20:80, 50:53] = 0
    return pixels


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_inverted():
    np.testing.assert_array_equal(DISTORTIONS["inverted"](stroke(), rng()), 255 - stroke())


def test_thick_adds_a_pixel_on_each_side():
    expected = np.full((105, 105, 3), 255, np.uint8)
    expected[19:81, 49:54] = 0
    np.testing.assert_array_equal(DISTORTIONS["thick"](stroke(), rng()), expected)


def test_off_centre_moves_all_the_ink_to_a_larger_sheet():
    sheet = DISTORTIONS["off-centre"](stroke(), rng())
    assert min(sheet.shape[:2]) >= 210 and max(sheet.shape[:2]) <= 315
    assert (sheet == 0).all(2).sum() == 60 * 3
    rows, columns = np.nonzero((sheet == 0).all(2))
    assert np.ptp(rows) == 59 and np.ptp(columns) == 2


def test_coloured_has_two_colours_where_there_were_two():
    painted = DISTORTIONS["coloured"](stroke(), rng())
    ink, ground = painted[40, 51].astype(int), painted[0, 0].astype(int)
    assert (painted[(stroke() == 0).all(2)] == ink).all()
    assert (painted[(stroke() == 255).all(2)] == ground).all()
    assert ground.min() >= 225 and np.ptp(ink) > 40


def test_paper_is_uneven_and_darkest_in_the_ink():
    page = DISTORTIONS["paper"](stroke(), rng()).astype(float).mean(2)
    assert page.shape == (256, 256)
    corners = [page[:20, :20].mean(), page[:20, -20:].mean(), page[-20:, :20].mean()]
    assert np.ptp(corners) > 5
    assert page.min() < min(corners) - 60


def test_paper_lit_too_brightly_is_white():
    blank = np.full((105, 105, 3), 255, np.uint8)
    pages = [DISTORTIONS["paper"](blank, np.random.default_rng(seed)) for seed in range(20)]
    assert max(page.max() for page in pages) == 255  # some are
    for page in pages:  # light and grain alone make no pixel differ much from its neighbour
        assert np.abs(np.diff(page.astype(int), axis=0)).max() < 40


def test_blurred_spreads_the_ink_and_loses_none():
    soft = 255 - DISTORTIONS["blurred"](stroke(), rng()).astype(float).mean(2)
    sharp = 255 - stroke().astype(float).mean(2)
    assert soft.shape == (105, 105)
    assert soft.sum() == pytest.approx(sharp.sum(), rel=0.03)
    assert soft.max() < 160
    # Across the middle of a long stroke the ink is spread as a Gaussian of 2.5 to 4 pixels,
    # whose variance adds to that of the stroke, (3² - 1) / 12.
    across, columns = soft[50], np.arange(105)
    mean = (across * columns).sum() / across.sum()
    variance = (across * (columns - mean) ** 2).sum() / across.sum() - 8 / 12
    assert mean == pytest.approx(51, abs=0.1)
    assert 2.4 < np.sqrt(variance) < 4.1


def test_blurred_scales_with_the_picture():
    large = np.kron(stroke(), np.ones((2, 2, 1), np.uint8))
    soft, larger = (DISTORTIONS["blurred"](x, rng()).astype(float) for x in (stroke(), large))
    reduced = larger.reshape(105, 2, 105, 2, 3).mean((1, 3))
    assert np.abs(reduced - soft).max() < 6


def test_rough_is_small_uneven_soft_and_broad():
    page = DISTORTIONS["rough"](stroke(), rng()).astype(float).mean(2)
    paper = Image.fromarray(DISTORTIONS["paper"](stroke(), rng()))
    paper = np.asarray(paper.resize((96, 96), Image.Resampling.BOX)).astype(float).mean(2)
    assert page.shape == (96, 96)
    corners = [page[:8, :8].mean(), page[:8, -8:].mean(), page[-8:, :8].mean()]
    assert np.ptp(corners) > 5
    assert page.min() < min(corners) - 40  # the ink is still there
    # Softer than such a photograph in focus, though the pen is broader.
    assert np.abs(np.diff(page, axis=1)).max() < 0.6 * np.abs(np.diff(paper, axis=1)).max()
    share = [(x < (x.min() + np.median(x)) / 2).mean() for x in (page, paper)]
    assert share[0] > 1.8 * share[1]  # broader: a stroke three pixels wide has become seven


def a_pool() -> tuple[Pool, list[Episodes]]:
    pictures = [Picture(f"{i}.png", stroke()) for i in range(4)]
    ways = np.arange(2)
    task = EpisodeBatch(ways[None], np.array([[0, 2]]), ways, np.array([[1, 3]]), ways)
    return Pool(pictures, np.array([0, 0, 1, 1]), ("a", "b")), [Episodes.of([task])]


def test_every_picture_is_distorted_by_a_generator_of_its_own():
    pool, episodes = a_pool()
    changed, same = distort(pool, episodes, "off-centre", seed=3)
    again, _ = distort(pool, episodes, "off-centre", seed=3)
    assert same == episodes
    assert len({picture.digest for picture in changed.pictures}) == 4
    assert [p.digest for p in changed.pictures] == [p.digest for p in again.pictures]


def test_queries_only():
    pool, episodes = a_pool()
    changed, moved = distort(pool, episodes, "inverted", seed=0, queries_only=True)
    ((task,),) = moved
    shown = [changed.pictures[i].pixels for i in task.support]
    asked = [changed.pictures[i].pixels for i in task.queries]
    for picture in shown:
        np.testing.assert_array_equal(picture, stroke())
    for picture in asked:
        np.testing.assert_array_equal(picture, 255 - stroke())
    np.testing.assert_array_equal(changed.labels[task.queries], [0, 1])


def test_unknown_distortion():
    with pytest.raises(InputError, match="upside-down"):
        distort(*a_pool(), "upside-down", seed=0)


def test_what_no_episode_looks_at_stays_as_it_is():
    pool, (drawn,) = a_pool()
    fewer = drawn.changed(
        lambda batch: replace(batch, queries=batch.queries[:, :1], query_labels=np.zeros(1, int))
    )
    changed, _ = distort(pool, [fewer], "inverted", seed=0)
    same = [
        (a.pixels == b.pixels).all() for a, b in zip(pool.pictures, changed.pictures, strict=True)
    ]
    assert same == [False, False, False, True]  # the fourth was asked about
