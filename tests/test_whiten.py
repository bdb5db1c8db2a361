"""Mixing the embedded CLIP's features by how pictures of one class differ."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.linalg import fractional_matrix_power

from fewshot.encoders.residual_tower import WIDTHS, ResidualTower
from fewshot.training.whiten import (
    POWER,
    SMALLEST_SHARE,
    symmetric_power,
    whiten,
    within_class_covariance,
)

LABELS = torch.arange(4).repeat(16)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Of four classes, each of a colour, in noise."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(4, 3, 1, 1, generator=generator)
    return colours[LABELS] + torch.rand(len(LABELS), 3, 16, 16, generator=generator)


@pytest.fixture
def network() -> SimpleNamespace:
    torch.manual_seed(0)
    tower = ResidualTower().eval()
    texts = torch.nn.Parameter(torch.randn(8, WIDTHS[-1] + WIDTHS[-2]))
    return SimpleNamespace(visual=SimpleNamespace(trunk=tower), text_projection=texts)


def parts_of(network: SimpleNamespace, pictures: torch.Tensor) -> list[np.ndarray]:
    tower = network.visual.trunk
    with torch.no_grad():
        return [p.double().numpy() for p in tower.parts(tower.before_last_stage(pictures))]


def covariance_by_hand(x: np.ndarray) -> np.ndarray:
    total = np.zeros((x.shape[1], x.shape[1]))
    for label in range(4):
        members = x[LABELS.numpy() == label]
        for row in members - members.mean(0):
            total += np.outer(row, row)
    return total * len(total) / np.trace(total)


def test_covariance_within_classes_by_hand() -> None:
    x = np.random.default_rng(0).normal(size=(64, 5)) * [1, 2, 3, 4, 5] + LABELS.numpy()[:, None]
    found = within_class_covariance(torch.from_numpy(x), LABELS)
    np.testing.assert_allclose(found.numpy(), covariance_by_hand(x), rtol=1e-10)
    assert np.trace(found.numpy()) == pytest.approx(5)


@pytest.mark.parametrize("power", [-0.5, -0.125, 0.125])
def test_a_power_of_a_matrix_is_scipys(power: float) -> None:
    x = np.random.default_rng(1).normal(size=(20, 6))
    matrix = x.T @ x
    lifted = matrix + SMALLEST_SHARE * np.trace(matrix) / 6 * np.eye(6)
    found = symmetric_power(torch.from_numpy(matrix), power)
    np.testing.assert_allclose(found.numpy(), fractional_matrix_power(lifted, power), rtol=1e-8)


def test_features_are_mixed_and_keep_their_products_with_texts(network, pictures) -> None:
    before, texts = parts_of(network, pictures), network.text_projection.detach().clone()
    whiten(network, pictures, LABELS)
    after = parts_of(network, pictures)
    first = slice(0, WIDTHS[-1]), slice(WIDTHS[-1], None)
    for plain, mixed, columns in zip(before, after, first, strict=True):
        covariance = covariance_by_hand(plain)
        covariance += SMALLEST_SHARE * np.eye(len(covariance))
        expected = plain @ fractional_matrix_power(covariance, -POWER / 2)
        np.testing.assert_allclose(mixed, expected, atol=1e-3 * np.abs(expected).max())
        assert np.abs(mixed - plain).max() > 0.01 * np.abs(plain).max()
        products = plain @ texts[:, columns].double().numpy().T
        found = mixed @ network.text_projection.detach()[:, columns].double().numpy().T
        np.testing.assert_allclose(found, products, atol=1e-3 * np.abs(products).max())


def test_doing_it_again_changes_nothing(network, pictures) -> None:
    whiten(network, pictures, LABELS)
    once = copy.deepcopy(network)
    whiten(network, pictures, LABELS)
    for norm, first in zip(network.visual.trunk.norms, once.visual.trunk.norms, strict=True):
        torch.testing.assert_close(norm.whitening, first.whitening, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(network.text_projection, once.text_projection, rtol=1e-3, atol=1e-2)
