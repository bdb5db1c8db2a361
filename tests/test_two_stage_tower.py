"""The embedded CLIP's image tower, and carrying weights over to it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import timm
import torch

from fewshot.encoders.last_block import last_block
from fewshot.encoders.two_stage_tower import NAME, TRUNK, TwoStageTower
from fewshot.training.clip_objective import normalised
from fewshot.training.clip_recipe import ARCHITECTURE, TWO_STAGE_ARCHITECTURE
from fewshot.training.clip_two_stages import carry_over


@pytest.fixture(scope="module")
def data() -> SimpleNamespace:
    generator = torch.Generator().manual_seed(0)
    photos = torch.randint(256, (4, 8, 64, 64, 3), generator=generator, dtype=torch.uint8)
    return SimpleNamespace(photos=photos)


@pytest.fixture(scope="module")
def coarse() -> torch.nn.Module:
    """A CLIP whose tower ends in a layer, with norms that a random network would not have."""
    torch.manual_seed(1)
    network = open_clip.CLIP(**ARCHITECTURE)
    for module in network.visual.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def fine(coarse, data) -> torch.nn.Module:
    network = open_clip.CLIP(**TWO_STAGE_ARCHITECTURE)
    carry_over(coarse.state_dict(), network, data)
    return network.eval()


def photos_of(data) -> torch.Tensor:
    return normalised(data.photos.flatten(0, 1).permute(0, 3, 1, 2).float() / 255)


def test_timm_makes_the_tower_by_its_name() -> None:
    tower = timm.create_model(NAME, num_classes=0)
    assert isinstance(tower, TwoStageTower) and tower.num_features == 768
    assert last_block(SimpleNamespace(trunk=tower)) is tower.stages[-1]


def test_the_last_stage_keeps_the_resolution(fine) -> None:
    tower = fine.visual.trunk
    with torch.no_grad():
        earlier = tower.stages[:-1](tower.stem(torch.rand(1, 3, 64, 64)))
    assert earlier.shape[2:] == tower.stages[-1](earlier).shape[2:] == (4, 4)


def test_embeddings_are_the_two_stages_means_standardised(fine, data) -> None:
    """Against timm's own network at the same weights, pooled and standardised in numpy."""
    tower = fine.visual.trunk
    trunk = timm.create_model(TRUNK, num_classes=0, output_stride=16)
    known = {k: v for k, v in tower.state_dict().items() if not k.startswith("norms")}
    trunk.load_state_dict(known)
    pictures = photos_of(data)[:5]
    with torch.no_grad():
        _, stages = trunk.eval().forward_intermediates(pictures)
        got = tower(pictures).double().numpy()
    start = 0
    for stage, norm in ((stages[-1], tower.norms[0]), (stages[-2], tower.norms[1])):
        means = stage.mean((2, 3)).double().numpy()
        spread = (norm.running_var.double() + norm.eps).sqrt().numpy()
        expected = (means - norm.running_mean.double().numpy()) / spread
        expected /= (expected**2).sum(1, keepdims=True) ** 0.5
        part = got[:, start : start + expected.shape[1]]
        assert abs(part - expected).max() < 1e-5
        start += expected.shape[1]
    assert start == got.shape[1]


def test_the_features_of_the_photos_are_standardised(fine, data) -> None:
    tower = fine.visual.trunk
    with torch.no_grad():
        earlier = tower.stages[:-1](tower.stem(photos_of(data)))
        for stage, norm in zip((tower.stages[-1](earlier), earlier), tower.norms, strict=True):
            features = stage.mean((2, 3)).double().numpy()
            mean, variance = features.mean(0), features.var(0, ddof=1)
            assert abs(norm.running_mean.numpy() - mean).max() < 1e-5
            np.testing.assert_allclose(norm.running_var.numpy(), variance, rtol=1e-3, atol=1e-7)
            assert norm.momentum == 0.1  # as training then takes it


def test_pictures_keep_their_likeness_to_texts(coarse, fine, data) -> None:
    """(P f) · t is f · (Pᵀ t), with the finer tower's f, less what all pictures have alike."""
    tower, head = fine.visual.trunk, coarse.visual.head
    tokens = open_clip.SimpleTokenizer(context_length=32)(["a photo of a cat.", "a dog", "7"])
    with torch.no_grad():
        features = tower.stages(tower.stem(photos_of(data))).mean((2, 3))
        features = features - tower.norms[0].running_mean
        expected = features @ head.proj.weight.T @ coarse.encode_text(tokens).T
        pictures = tower.norms[0](tower.stages(tower.stem(photos_of(data))).mean((2, 3)))
        texts = fine.encode_text(tokens)
    torch.testing.assert_close(pictures @ texts[:, :512].T, expected, rtol=1e-3, atol=1e-4)
    assert not texts[:, 512:].any()  # names have no likeness to the earlier stage's features


def test_weights_of_another_network_are_refused(coarse, data) -> None:
    weights = coarse.state_dict()
    del weights["visual.trunk.stem.conv1.conv.weight"]
    for others in (weights, {"stranger": torch.zeros(1)}):
        with pytest.raises(RuntimeError):
            carry_over(others, open_clip.CLIP(**TWO_STAGE_ARCHITECTURE), data)
