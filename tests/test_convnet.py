"""The convnet for drawings: what its embedding is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.encoders.convnet import ConvNet, ConvNetConfig

TINY = ConvNetConfig(input_size=20, stem=8, widths=(16, 32), pooled=(False, True), grid=2, dim=12)


def network(config: ConvNetConfig) -> ConvNet:
    torch.manual_seed(0)
    return ConvNet(config).eval()


@pytest.fixture
def ink() -> torch.Tensor:
    return torch.rand(3, 1, 20, 20, generator=torch.Generator().manual_seed(1))


def test_without_a_last_layer_the_embedding_is_the_root_of_the_feature_map(ink) -> None:
    config = TINY.unprojected()
    assert (config.grid, config.dim) == (5, 32 * 25)
    net = network(config)
    with torch.no_grad():
        features = net.blocks(net.stem(ink)).flatten(1).numpy().astype(np.float64)
        x = net(ink).numpy()
    shares = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = np.sqrt(shares + 1e-4)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(x, expected, atol=1e-6)


@pytest.mark.parametrize("side", [20, 24, 40])
def test_the_feature_maps_size_is_known_beforehand(side: int) -> None:
    config = replace(TINY, input_size=side).unprojected()
    net = network(config)
    assert net(torch.rand(2, 1, side, side)).shape == (2, config.dim)


def test_a_white_sheet_has_a_finite_slope(ink) -> None:
    blank = torch.zeros(1, 1, 20, 20, requires_grad=True)
    network(TINY.unprojected())(blank)[0, 0].backward()
    assert torch.isfinite(blank.grad).all()


@pytest.mark.parametrize(("keep_odd", "side"), [(False, 2), (True, 3)])
def test_halving_an_odd_side(keep_odd: bool, side: int, ink) -> None:
    config = replace(TINY, widths=(16, 32, 32), pooled=(False, True, True), keep_odd=keep_odd)
    net = network(config)  # 20, 10, 10, 5, then 2 or 3
    assert net.blocks(net.stem(ink)).shape == (3, 32, side, side)


def test_cards_know_the_architecture() -> None:
    config = TINY.unprojected()
    assert ConvNetConfig.from_dict(config.as_dict()) == config
    old = {k: v for k, v in TINY.as_dict().items() if k not in ("keep_odd", "projected")}
    assert ConvNetConfig.from_dict(old) == TINY
