"""The embedded CLIP's image tower."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from fewshot.encoders.last_block import last_block
from fewshot.encoders.residual_tower import EARLIER, NAME, WIDTHS, ResidualTower, Stage
from fewshot.training.standardise import standardise


@pytest.fixture(scope="module")
def tower() -> ResidualTower:
    """With norms that a random network would not have."""
    torch.manual_seed(1)
    tower = ResidualTower().eval()
    for norm in tower.modules():
        if isinstance(norm, nn.BatchNorm2d | nn.BatchNorm1d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    for norm in tower.norms:
        norm.whitening.normal_(0, 0.1)
    return tower


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.rand(10, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_timm_makes_the_tower_by_its_name() -> None:
    made = timm.create_model(NAME, num_classes=0)
    assert isinstance(made, ResidualTower) and made.num_features == WIDTHS[-1] + WIDTHS[-2]
    assert last_block(SimpleNamespace(trunk=made)) is made.stages[-1]


def test_a_stage_is_three_convolutions_around_a_shortcut() -> None:
    """Against torch's own layers in a row, without the norms (which are the identity in it)."""
    torch.manual_seed(0)
    stage = Stage(3, 5, pool=True).eval()
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        halved = F.max_pool2d(x, 2)
        y = halved
        for conv, norm in zip(stage.convs, stage.norms, strict=True):
            y = F.conv2d(y, conv.weight, padding=1) / (1 + norm.eps) ** 0.5
            y = F.leaky_relu(y, 0.1) if conv is not stage.convs[-1] else y
        shortcut = F.conv2d(halved, stage.shortcut[0].weight) / (1 + stage.shortcut[1].eps) ** 0.5
        torch.testing.assert_close(stage(x), F.leaky_relu(y + shortcut, 0.1))


def test_64_pixels_end_at_4_by_4_places(tower, pictures) -> None:
    with torch.no_grad():
        earlier = tower.before_last_stage(pictures[:1])
        assert earlier.shape[2:] == (8, 8) and tower.stages[-1](earlier).shape[2:] == (4, 4)


def test_embeddings_are_the_two_stages_means_standardised_and_mixed(tower, pictures) -> None:
    with torch.no_grad():
        earlier = tower.before_last_stage(pictures)
        stages = (tower.stages[-1](earlier), earlier)
        got = tower(pictures).double().numpy()
    parts = []
    for stage, norm in zip(stages, tower.norms, strict=True):
        means = stage.double().numpy().mean((2, 3))
        spread = np.sqrt(norm.running_var.double().numpy() + norm.eps)
        part = (means - norm.running_mean.double().numpy()) / spread
        part = part @ norm.whitening.double().numpy()
        parts.append(part / np.linalg.norm(part, axis=1, keepdims=True))
    expected = np.concatenate([parts[0], EARLIER * parts[1]], 1)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_features_of_the_photos_are_standardised(pictures) -> None:
    torch.manual_seed(2)
    tower = ResidualTower()
    standardise(tower, pictures)
    assert not any(module.training for module in tower.modules())
    with torch.no_grad():
        earlier = tower.before_last_stage(pictures)
        for stage, norm in zip((tower.stages[-1](earlier), earlier), tower.norms, strict=True):
            features = stage.mean((2, 3)).double().numpy()
            np.testing.assert_allclose(norm.running_mean.numpy(), features.mean(0), atol=1e-5)
            variance = features.var(0, ddof=1)
            np.testing.assert_allclose(norm.running_var.numpy(), variance, rtol=1e-3, atol=1e-7)
            assert norm.momentum == 0.1  # as training then takes it
