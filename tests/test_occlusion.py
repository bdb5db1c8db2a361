"""Covering parts of a picture: what is covered, and what that tells of an answer."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fewshot.compare import fit
from fewshot.encoders import get_encoder
from fewshot.encoders.base import Encoder, view_seed
from fewshot.encoders.ink import FILLED, drawing_frame, find_ink
from fewshot.examples import example_task
from fewshot.metrics import normalise
from fewshot.occlusion import (
    BATCH,
    GRID,
    N_WINDOWS,
    WINDOW,
    Copies,
    covered,
    look_at,
    over_cells,
    reliance,
    windows,
)
from fewshot.types import Picture, Prediction, Support
from fewshot.ui.looks import AGAINST, FOR, STRONGEST, look_html, veil

STEPS = GRID - WINDOW + 1
CLASSES = ("left", "right", "none")


class Halves(Encoder):
    """Sees how dark the upper left and the lower right corner are, and nothing else."""

    name, family, dim, digest, source, licence = "halves", "clip", 3, "halves-1", "test", "none"
    temperature = 8.0

    def embed(self, pictures):
        dark = [255.0 - p.pixels.mean(2) for p in pictures]
        corners = [(d[:10, :10].mean() / 255, d[-10:, -10:].mean() / 255, 0.1) for d in dark]
        return normalise(np.array(corners, np.float32))

    def embed_views(self, pictures, n_views):
        raise AssertionError("nobody asked for views")


def marked(*corners: str, side: int = 80) -> Picture:
    """White, and black in corners of ten pixels."""
    pixels = np.full((side, side, 3), 255, np.uint8)
    for corner in corners:
        part = slice(0, 10) if corner == "left" else slice(side - 10, side)
        pixels[part, part] = 0
    return Picture("marked.png", pixels)


def seen(encoder: Encoder, picture: Picture) -> Copies:
    *shares, copies = look_at(encoder, picture)
    assert len(shares) == math.ceil((1 + N_WINDOWS) / BATCH) and shares[-1] == 1
    assert shares == sorted(set(shares))
    return copies


def test_windows_cover_every_pixel_of_their_box_and_none_beyond() -> None:
    top, bottom, left, right = box = 3, 51, 10, 30  # neither a multiple of the grid
    times = np.zeros((60, 40), int)
    for rows, columns in windows(box):
        times[rows, columns] += 1
    inside = times[top:bottom, left:right]
    assert inside.min() == 1 and inside.max() == WINDOW**2
    assert times.sum() == inside.sum()
    assert inside[0, 0] == inside[-1, -1] == 1  # a corner lies in one window only


def test_a_copy_differs_in_its_window_alone_and_keeps_the_views() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (40, 48, 3), np.uint8)
    pixels[:30] = (250, 240, 230)  # most of it
    picture = Picture("a.png", pixels)
    box = 0, 40, 8, 48
    copies = covered(picture, box)
    assert len(copies) == N_WINDOWS == STEPS**2
    for copy, (rows, columns) in zip(copies, windows(box), strict=True):
        expected = pixels.copy()
        expected[rows, columns] = (250, 240, 230)
        np.testing.assert_array_equal(copy.pixels, expected)
        assert view_seed(copy) == view_seed(picture)
    changed = [copy for copy in copies if (copy.pixels != pixels).any()]
    assert changed and all(copy.digest != picture.digest for copy in changed)


def test_cells_get_the_mean_of_the_windows_over_them() -> None:
    values = np.random.default_rng(1).normal(size=N_WINDOWS)
    cells = over_cells(values)
    for y in range(GRID):
        for x in range(GRID):
            over = [
                values[i * STEPS + j]
                for i in range(STEPS)
                for j in range(STEPS)
                if i <= y < i + WINDOW and j <= x < j + WINDOW
            ]
            assert cells[y, x] == pytest.approx(np.mean(over), abs=1e-6)


def test_falls_are_of_the_log_odds_against_the_next_class() -> None:
    p = np.tile(np.float32([[0.6, 0.3, 0.1]]), (1 + N_WINDOWS, 1))
    p[1] = 0.2, 0.1, 0.7  # the first window: another class, and not the next one, wins
    p[-1] = 0.98, 0.01, 0.01  # the last: surer
    look = reliance(Prediction(CLASSES, p, p), (0, 8, 0, 8))
    assert (look.label, look.probability) == ("none", pytest.approx(0.2))
    assert look.falls[0, 0] == pytest.approx(math.log(0.6 / 0.3) - math.log(0.2 / 0.7), abs=1e-5)
    assert look.falls[-1, -1] == pytest.approx(math.log(2) - math.log(98), abs=1e-5)
    assert look.falls[3, 3] == pytest.approx(0, abs=1e-6)


def test_a_certain_answer_gives_numbers_still() -> None:
    p = np.tile(np.float32([[1, 0, 0]]), (1 + N_WINDOWS, 1))
    p[5] = 0.9, 0.1, 0
    falls = reliance(Prediction(CLASSES, p, p), (0, 8, 0, 8)).falls
    assert np.isfinite(falls).all() and falls.max() > 1


@pytest.mark.parametrize("name", ["prototype", "finetune", "triplet", "siamese"])
def test_what_an_encoder_looks_at_is_found(name: str) -> None:
    from fewshot.methods import METHODS, Settings

    encoder = Halves()
    x = encoder.embed([marked("left"), marked("right")])
    support = Support(("left", "right"), np.arange(2), x, views=x[:, None].repeat(4, 1))
    method = METHODS[name](encoder, Settings()).fit(support)
    copies = seen(encoder, marked("left"))
    look = reliance(method.predict(copies.embeddings), copies.box)
    strongest = np.unravel_index(look.falls.argmax(), look.falls.shape)
    assert strongest == (0, 0) and look.falls[0, 0] > 0.1
    np.testing.assert_allclose(look.falls[WINDOW:, WINDOW:], 0, atol=1e-4)
    # Where both corners are dark, the other one speaks against.
    copies = seen(encoder, marked("left", "right"))
    p = method.predict(copies.embeddings)
    falls = reliance(p, copies.box).falls
    own, other = ((0, 0), (-1, -1)) if p.labels[0] == "left" else ((-1, -1), (0, 0))
    assert falls[own] > 0.1 and falls[other] < -0.1


def test_shipped_methods_rest_on_ink_alone() -> None:
    task = example_task("alphabet")
    fitted = fit(task.support, methods=["siamese", "triplet", "finetune"])
    query = task.queries[0]
    assert (query.pixels[0, 0] == np.median(query.pixels.reshape(-1, 3), axis=0)).all()  # even
    for name, one in fitted.methods.items():
        copies = seen(one.encoder, query)
        look = reliance(one.method.predict(copies.embeddings), copies.box)
        blank = [not (copy.pixels != query.pixels).any() for copy in covered(query, copies.box)]
        assert 3 < sum(blank) < N_WINDOWS
        # A cell that no window with ink in it covers counts for nothing.
        inked = np.zeros((GRID, GRID), bool)
        n = GRID - WINDOW + 1
        for number in np.flatnonzero(~np.array(blank)):
            y, x = divmod(number, n)
            inked[y : y + WINDOW, x : x + WINDOW] = True
        assert not inked.all()
        assert np.abs(look.falls[~inked]).max() < 1e-2 < 0.5 < look.falls.max(), name


def test_an_answer_too_sure_to_tell_says_so() -> None:
    classes = ("A", "B", "C")
    certain = np.array([[1, 0, 0]] + [[0.5, 0.5, 0]] * N_WINDOWS, np.float32)
    look = reliance(Prediction(classes, certain, certain), (0, 40, 0, 40))
    assert look.too_sure
    html = look_html(look, Picture("q", np.zeros((40, 40, 3), np.uint8)), "A")
    assert "cannot be told" in html and "veil" not in html
    certain[0] = [0.999, 1e-9, 0]
    assert not reliance(Prediction(classes, certain, certain), (0, 40, 0, 40)).too_sure


def test_the_frame_is_what_ink_is_cut_to() -> None:
    image = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(image).rectangle((100, 60, 179, 99), fill="black")  # 80 × 40 pixels
    pixels = np.asarray(image)
    top, bottom, left, right = drawing_frame(pixels)
    half = 80 / FILLED / 2
    for found, expected in zip(
        (top, bottom, left, right), (80 - half, 80 + half, 140 - half, 140 + half), strict=True
    ):
        assert abs(found - expected) <= 3  # found at a reduced size
    whole, part = (find_ink(x, 40) for x in (pixels, pixels[top:bottom, left:right]))
    assert np.abs(whole.astype(int) - part).mean() < 6
    assert drawing_frame(np.full((50, 60, 3), 200, np.uint8)) is None
    assert get_encoder("drawings-triplet").region(marked()) == (0, 80, 0, 80)  # blank: all of it


def test_a_frame_ends_with_the_picture() -> None:
    pixels = np.full((100, 100, 3), 255, np.uint8)
    pixels[0:90, 5:15] = 0
    top, bottom, left, right = drawing_frame(pixels)
    assert top == left == 0 and bottom < 100 and right < 80


def test_colours_tell_for_and_against() -> None:
    falls = np.zeros((GRID, GRID), np.float32)
    falls[0, 1], falls[2, 3], falls[4, 4] = 2.0, -1.0, 0.5
    data = veil(falls).removeprefix("data:image/png;base64,")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert pixels.shape == (GRID, GRID, 4)
    assert tuple(pixels[0, 1]) == (*FOR, STRONGEST)
    assert tuple(pixels[2, 3]) == (*AGAINST, round(STRONGEST / 2))
    assert tuple(pixels[4, 4]) == (*FOR, round(STRONGEST / 4))
    assert (np.delete(pixels[..., 3].ravel(), [1, 19, 36]) == 0).all()


def test_words_say_what_is_left_of_the_answer() -> None:
    p = np.tile(np.float32([[0.6, 0.3, 0.1]]), (1 + N_WINDOWS, 1))
    picture = marked("left")
    same = look_html(reliance(Prediction(CLASSES, p, p), (0, 80, 0, 80)), picture, "left")
    assert "left is no less sure" in same and "veil" not in same
    p[9] = 0.8, 0.1, 0.1  # what it is covered by speaks against it
    surer = look_html(reliance(Prediction(CLASSES, p, p), (0, 80, 0, 80)), picture, "left")
    assert "left is no less sure" in surer and "veil" in surer
    p[9] = 0.4, 0.35, 0.25
    less = look_html(reliance(Prediction(CLASSES, p, p), (0, 80, 0, 80)), picture, "left")
    assert "Without its most telling part: left 40%." in less and less.count("<img") == 2
    p[9] = 0.2, 0.7, 0.1
    other = look_html(reliance(Prediction(CLASSES, p, p), (0, 80, 0, 80)), picture, "<b>left")
    assert "it would say <b>right</b>, and &lt;b&gt;left 20%." in other
