"""Koch's network: the published architecture, its start, its training, and the way to an answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omniglot_tree import write_omniglot_tree

from fewshot.cli import main
from fewshot.data.omniglot import load_omniglot
from fewshot.encoders import get_encoder
from fewshot.encoders.ink import find_ink
from fewshot.encoders.koch import Koch
from fewshot.encoders.koch_encoder import KochEncoder
from fewshot.encoders.weights import load_card, load_weights
from fewshot.methods import METHODS
from fewshot.training import drawings
from fewshot.training import koch as koch_training
from fewshot.training.koch import KochObjective, train_koch
from fewshot.training.koch_recipe import (
    DISTORTIONS,
    KOCH_RECIPE,
    KOCH_RECIPE_ON_CPU,
    KochRecipe,
)
from fewshot.training.session import Session
from fewshot.types import InputError, Support

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> Koch:
    torch.manual_seed(0)
    return Koch().eval()


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(folder))
        patch.delenv("FEWSHOT_KOCH", raising=False)
        for module in (drawings, koch_training):
            patch.setattr(module, "best_device", lambda: CPU)
        yield folder


def test_the_published_sizes(network: Koch) -> None:
    assert sum(p.numel() for p in network.parameters()) == 38_951_745
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim > 1]
    assert shapes == [
        (64, 1, 10, 10),
        (128, 64, 7, 7),
        (128, 128, 4, 4),
        (256, 128, 4, 4),
        (4096, 9216),
        (1, 4096),
    ]


def test_it_starts_at_the_published_weights(network: Koch) -> None:
    for name, parameter in network.named_parameters():
        mean, spread = (0.5, 0.01) if name.endswith("bias") else (0.0, 0.01)
        if name in ("units.weight", "head.linear.weight"):
            spread = 0.2
        n = parameter.numel()
        # Within five standard errors of a normal sample's mean and standard deviation.
        assert abs(parameter.mean().item() - mean) < 5 * spread / math.sqrt(n), name
        if n > 1:
            assert abs(parameter.std().item() / spread - 1) < 5 / math.sqrt(2 * n - 2), name


def plain(network: Koch, ink: torch.Tensor) -> torch.Tensor:
    """The paper's figure 4, written out."""
    w = [p for name, p in network.named_parameters() if name.startswith("features")]
    x = F.max_pool2d(F.relu(F.conv2d(ink, w[0], w[1])), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, w[2], w[3])), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, w[4], w[5])), 2)
    x = F.relu(F.conv2d(x, w[6], w[7]))
    assert x.shape[1:] == (256, 6, 6)
    z = x.reshape(len(x), 9216) @ network.units.weight.T + network.units.bias
    return 1 / (1 + torch.exp(-z))


@torch.no_grad()
def test_pairs_are_judged_as_published(network: Koch) -> None:
    one, other = torch.rand(2, 3, 1, 105, 105, generator=torch.Generator().manual_seed(1))
    first, second = plain(network, one), plain(network, other)
    torch.testing.assert_close(network.embed(one), first, atol=2e-4, rtol=0)
    alpha, beta = network.head.linear.weight[0], network.head.linear.bias[0]
    expected = torch.sigmoid((alpha * (first - second).abs()).sum(1) + beta)
    torch.testing.assert_close(network(one, other).sigmoid(), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(network(one, other), network(other, one))


def test_the_papers_distortions(monkeypatch) -> None:
    assert (DISTORTIONS.rotation, DISTORTIONS.shear, DISTORTIONS.scale) == (10.0, 0.3, 0.2)
    assert DISTORTIONS.translation * 105 == pytest.approx(2)
    assert DISTORTIONS.thickening == DISTORTIONS.elastic == 0
    assert KOCH_RECIPE.augmentation == DISTORTIONS and KOCH_RECIPE.included == 0.5
    monkeypatch.setattr(koch_training, "Koch", torch.nn.Identity)  # the network is not asked here
    ink = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (400, 20, 20), np.uint8))
    never = KochObjective(KOCH_RECIPE.with_changes(included=0.0))
    same = never.distorted(ink, torch.Generator().manual_seed(1))
    torch.testing.assert_close(same[:, 0], ink.float() / 255, atol=1e-5, rtol=0)
    seen = []
    monkeypatch.setattr(koch_training, "augment", lambda ink, drawn, ranges: seen.append(drawn))
    KochObjective(KOCH_RECIPE).distorted(ink, torch.Generator().manual_seed(1))
    included = seen[0][:, :7] != 0.5
    share = included.float().mean(0)
    assert ((share > 0.38) & (share < 0.62)).all()  # of 400, five standard errors are 0.125
    assert abs(np.corrcoef(included.T) - np.eye(7)).max() < 0.25


def test_a_missing_checkpoint_is_told_with_the_command(tmp_path, own_cache, monkeypatch) -> None:
    for place in (None, str(tmp_path / "elsewhere.safetensors")):
        if place:
            monkeypatch.setenv("FEWSHOT_KOCH", place)
        with pytest.raises(
            InputError, match="train koch --output FILE”, and set FEWSHOT_KOCH"
        ) as no:
            get_encoder("koch")
        assert str(tmp_path) not in str(no.value)  # a visitor of the page is told it, too


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("omniglot")
    write_omniglot_tree(root, alphabets=3, characters=4, drawers=4)
    return root


def test_training_goes_on_and_comes_back_as_an_encoder(tree, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(koch_training, "VALIDATED", 2)
    units = 64  # of 4,096, which take half a gigabyte of state
    monkeypatch.setattr("fewshot.encoders.koch.UNITS", units)
    monkeypatch.setattr(KochEncoder, "dim", units)
    recipe = KochRecipe(
        "koch",
        steps=2,
        batch=4,
        pairs=6,
        images_per_class=2,
        optimizer="sgd",
        learning_rate=1e-3,
        warmup=0.0,
        layer_rates=KOCH_RECIPE.layer_rates,
        rotations=False,
        validation_alphabets=1,
    )
    output = tmp_path / "koch.safetensors"
    asked = iter([False, True])
    train_koch(recipe, Session(output, folder=tree, should_stop=lambda: next(asked)))
    assert load_card(output)["steps_done"] == 1
    run = train_koch(recipe, Session(output, folder=tree, resume=True))
    card = load_card(output)
    parameters = 38_951_745 - (4096 - units) * (9216 + 1 + 1)
    assert (card["steps_done"], card["pairs_done"], card["parameters"]) == (2, 12, parameters)
    assert 0 <= card["validation"]["random"] <= 1
    assert output.stat().st_size < 2 * parameters + 2000
    rates = {group["factor"] for group in run.optimizer.param_groups}
    assert rates == set(KOCH_RECIPE.layer_rates.values())
    start = koch_training.new_koch(recipe, CPU).state_dict()
    trained = run.objective.state_dict()
    assert all(not torch.equal(trained[name], start[name]) for name in start)

    monkeypatch.setenv("FEWSHOT_KOCH", str(output))
    with pytest.MonkeyPatch.context() as patch:  # of the network alone: methods compare on the CPU
        patch.setattr("fewshot.encoders.koch_encoder.best_device", lambda: torch.device("meta"))
        elsewhere = KochEncoder(output)
    assert {p.device.type for p in elsewhere._network.parameters()} == {"meta"}
    assert {p.device.type for p in elsewhere.pair_head().parameters()} == {"cpu"}
    encoder = get_encoder("koch")
    assert isinstance(encoder, KochEncoder) and get_encoder("koch") is encoder
    drawn = load_omniglot("background", tree).pool().pictures[:12:4]
    ink = torch.from_numpy(np.stack([find_ink(picture.pixels, 105) for picture in drawn]))
    half = Koch().eval()
    half.load_state_dict(
        {n.removeprefix("network."): v.float() for n, v in load_weights(output).items()}
    )
    with torch.no_grad():
        expected = plain(half, ink[:, None].float() / 255).numpy()
    x = encoder.embed(drawn)
    np.testing.assert_allclose(x, expected, atol=1e-3)
    assert encoder.embed_views(drawn, 2).shape == (3, 2, units)
    # And the method's answer is the network's own head's.
    answer = METHODS["koch"](encoder).fit(Support(("a", "b"), np.array([0, 1]), x[:2])).predict(x)
    alpha, beta = half.head.linear.weight[0].detach().numpy(), half.head.linear.bias.item()
    logits = [[alpha @ abs(q - s) + beta for s in x[:2]] for q in x]
    np.testing.assert_allclose(answer.evidence, 1 / (1 + np.exp(-np.array(logits))), atol=1e-4)
    with pytest.raises(InputError, match="--init"):
        train_koch(recipe, Session(output, folder=tree, initial=output))


def test_a_checkpoint_of_something_else_is_told(tmp_path) -> None:
    from fewshot.encoders.weights import save_weights

    path = tmp_path / "koch.safetensors"
    card = {"architecture": {}, "data": {"name": "nothing"}, "licence": "MIT"}
    save_weights(path, {"network.units.weight": torch.zeros(2)}, card)
    with pytest.raises(InputError, match="does not hold Koch"):
        KochEncoder(path)


def test_the_command_has_a_recipe_for_each_machine(tmp_path, monkeypatch) -> None:
    asked = []
    ended = SimpleNamespace(validation={}, best_step=0)
    monkeypatch.setattr(
        koch_training, "train_koch", lambda recipe, session: asked.append(recipe) or ended
    )
    command = ["train", "koch", "--output", str(tmp_path / "koch.safetensors")]
    main(command)
    main([*command, "--on-cpu", "--batch", "32"])
    assert asked == [KOCH_RECIPE, KOCH_RECIPE_ON_CPU.with_changes(batch=32)]
