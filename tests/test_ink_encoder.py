"""One contract for every encoder that sees the ink alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from fewshot.compare import compare
from fewshot.encoders import DRAWINGS, get_encoder
from fewshot.encoders.base import Encoder
from fewshot.encoders.ink import drawing_frame
from fewshot.encoders.koch import Koch
from fewshot.encoders.koch_encoder import KochEncoder
from fewshot.encoders.weights import save_weights, with_prefix
from fewshot.examples import example_task
from fewshot.types import Picture

NAMES = (*DRAWINGS, "drawings-maml", "koch")


@pytest.fixture(scope="module")
def koch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KochEncoder]:
    """With 64 units, never trained."""
    path = tmp_path_factory.mktemp("koch") / "koch.safetensors"
    card = {"architecture": {}, "data": {"name": "nothing"}, "licence": "MIT"}
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        patch.setattr("fewshot.encoders.koch.UNITS", 64)
        patch.setattr(KochEncoder, "dim", 64)
        save_weights(path, with_prefix("network", Koch().state_dict()), card)
        yield KochEncoder(path)


@pytest.fixture(params=NAMES)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "koch":
        return request.getfixturevalue("koch")
    return get_encoder(request.param)


def blank() -> Picture:
    return Picture("blank.png", np.full((40, 60, 3), 255, np.uint8))


def small_drawing() -> Picture:
    """A drawing of 40 × 30 pixels on a sheet of 400 × 400."""
    pixels = np.full((400, 400, 3), 255, np.uint8)
    pixels[100:140, 200:206] = pixels[134:140, 200:230] = 0
    return Picture("small.png", pixels)


def test_pictures_without_ink_are_told(encoder: Encoder) -> None:
    shown = [blank(), small_drawing(), blank()]
    assert [one is shown[i] for one, i in zip(encoder.blind_to(shown), (0, 2), strict=True)]


def test_views_are_of_the_ink_and_come_picture_by_picture(encoder: Encoder) -> None:
    shown = [small_drawing(), blank()]
    x, views = encoder.embed(shown), encoder.embed_views(shown, 3)
    assert x.shape == (2, encoder.dim) and views.shape == (2, 3, encoder.dim)
    assert x.dtype == views.dtype == np.float32
    np.testing.assert_allclose(views[1], encoder.embed_views([blank()], 3)[0], atol=1e-5)


def test_it_looks_at_the_drawing_alone(encoder: Encoder) -> None:
    small = small_drawing()
    assert encoder.region(small) == drawing_frame(small.pixels)
    assert encoder.region(blank()) == (0, 40, 0, 60)  # where there is none, at all of it


@pytest.mark.parametrize("method", ["prototype", "maml"])
def test_a_comparison_tells_of_a_blank_query(method: str) -> None:
    task = example_task("alphabet")
    answer = compare(task.support, [blank()], methods=(method,))
    assert answer.without_ink == (("blank.png", 0),)
