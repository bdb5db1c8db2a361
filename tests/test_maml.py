"""MAML: its gradients against a plain loop, what each task may and may not see, and training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omniglot_tree import write_omniglot_tree
from test_methods import ENCODER, LABELS, QUERIES, FakeEncoder, batch_of, support_of
from torch import Tensor, nn

from fewshot.cli import main
from fewshot.data.omniglot import load_omniglot
from fewshot.encoders.base import Encoder
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.ink import find_ink
from fewshot.encoders.maml import MamlEncoder
from fewshot.encoders.maml_network import ROWS, AdaptableConvNet, InnerLoop, MamlNetwork
from fewshot.encoders.weights import load_card, save_weights, sha256, with_prefix
from fewshot.episodes import Protocol, draw_episodes
from fewshot.methods import METHODS, Settings
from fewshot.methods import maml as maml_method
from fewshot.training import drawings
from fewshot.training import maml as maml_training
from fewshot.training.drawings import load_characters
from fewshot.training.loop import train
from fewshot.training.maml import maml_validation, new_maml, train_maml
from fewshot.training.maml_recipe import MamlRecipe
from fewshot.training.samplers import step_generator
from fewshot.training.session import Session
from fewshot.types import InputError, Support

CPU = torch.device("cpu")
DIM, WAYS, INNER = 4, 3, InnerLoop(steps=3, body_rate=0.1, row_rate=0.5, scale=5.0)
SHOWN = torch.tensor([0, 2, 1, 1, 0, 1])  # unbalanced, and not class by class
MEMBERSHIP = F.one_hot(SHOWN).double() / F.one_hot(SHOWN).sum(0)
ASKED = torch.tensor([0, 1, 2, 2, 1])


class Body(nn.Sequential):
    """Three layers that curve, so that second derivatives matter."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, DIM))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(super().forward(x), dim=1)


@pytest.fixture
def network() -> MamlNetwork:
    torch.manual_seed(1)
    network = MamlNetwork(Body(), DIM, INNER).double()
    nn.init.normal_(network.row)
    return network


def pictures(count: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 6)))


def by_hand(
    network: MamlNetwork, first_order: bool = False, shown: Tensor = SHOWN
) -> tuple[Tensor, list[Tensor]]:
    """Cosines of the queries after the inner steps, all by autograd, and the learned parameters."""
    n, ways = len(shown), int(shown.max()) + 1
    learned = [*network.body.parameters(), network.row]
    w1, b1, w2, b2 = learned[:4]
    rows = torch.stack([network.row] * ways)

    def cosines(x: Tensor, w1, b1, w2, b2, rows) -> Tensor:
        z = torch.tanh(x @ w1.T + b1) @ w2.T + b2
        return (z / z.norm(dim=1, keepdim=True)) @ (rows / rows.norm(dim=1, keepdim=True)).T

    now = [w1, b1, w2, b2, rows]
    for _ in range(INNER.steps):
        p = torch.softmax(INNER.scale * cosines(pictures(n, 2), *now), 1)
        losses = -p[torch.arange(n), shown].log()
        loss = sum(losses[shown == c].mean() for c in range(ways)) / ways
        slopes = torch.autograd.grad(loss, now, create_graph=True)
        if first_order:
            slopes = [slope.detach() for slope in slopes]
        rates = [INNER.body_rate] * 4 + [INNER.row_rate * ways]
        now = [v - rate * slope for v, rate, slope in zip(now, rates, slopes, strict=True)]
    return cosines(pictures(5, 3), *now), learned


def outer_gradients(cosines: Tensor, learned: list[Tensor]) -> list[Tensor]:
    loss = F.cross_entropy(INNER.scale * cosines, ASKED)
    return list(torch.autograd.grad(loss, learned))


@pytest.mark.parametrize("first_order", [False, True])
def test_outer_gradients_equal_a_plain_loop(network, first_order) -> None:
    expected, learned = by_hand(network, first_order)
    answer = network.answer(
        pictures(6, 2)[None], MEMBERSHIP, pictures(5, 3)[None], first_order=first_order
    )[0]
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    ours, theirs = outer_gradients(answer, learned), outer_gradients(expected, learned)
    for a, b in zip(ours, theirs, strict=True):
        assert b.abs().max() > 1e-4
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def test_first_order_is_another_gradient(network) -> None:
    support, queries = pictures(6, 2)[None], pictures(5, 3)[None]
    learned = [*network.body.parameters(), network.row]
    second, first = (
        network.answer(support, MEMBERSHIP, queries, first_order=order)[0]
        for order in (False, True)
    )
    torch.testing.assert_close(first, second)  # the same answers
    pairs = zip(outer_gradients(second, learned), outer_gradients(first, learned), strict=True)
    assert all((a - b).abs().max() > 0.01 * a.abs().max() for a, b in pairs)


def test_the_first_step_breaks_the_tie_between_equal_rows(network) -> None:
    """It makes a prototype classifier, and leaves the embedding as it is."""
    network.inner = InnerLoop(steps=1, body_rate=10.0, row_rate=0.5, scale=5.0)
    adapted = network.adapt(pictures(6, 2), MEMBERSHIP)
    x = network.body(pictures(6, 2))
    means = torch.stack([x[c == SHOWN].mean(0) for c in range(WAYS)])
    w = network.row
    length = w.norm()
    moved = 0.5 * 5.0 / length * (means - means.mean(0))
    moved = moved - torch.outer(moved @ w, w) / length**2  # cosines do not feel the part along w
    torch.testing.assert_close(adapted[ROWS], w + moved)
    assert torch.pdist(adapted[ROWS]).min() > 0.1
    for name, value in network.body.named_parameters():
        assert torch.equal(adapted[name], value)


def test_later_steps_move_the_embedding(network) -> None:
    adapted = network.adapt(pictures(6, 2), MEMBERSHIP)
    for name, value in network.body.named_parameters():
        assert (adapted[name] - value).abs().max() > 1e-3


def test_many_tasks_at_once_get_what_each_gets_alone(network) -> None:
    support = torch.stack([pictures(6, seed) for seed in (1, 2, 3)])
    queries = torch.stack([pictures(5, seed) for seed in (4, 5, 6)])
    together = network.answer(support, MEMBERSHIP, queries)
    for x, asked, cosines in zip(support, queries, together, strict=True):
        adapted = network.adapt(x, MEMBERSHIP)
        rows = adapted[ROWS] / adapted[ROWS].norm(dim=1, keepdim=True)
        torch.testing.assert_close(cosines, network.embed(adapted, asked) @ rows.T)


@pytest.mark.parametrize("ways", [2, 7])
def test_any_number_of_classes_in_any_order(network, ways) -> None:
    expected, _ = by_hand(network, shown=torch.arange(ways))
    x, asked = pictures(ways, 2)[None], pictures(5, 3)[None]
    each = torch.eye(ways).double()
    cosines = network.answer(x, each, asked)[0]
    torch.testing.assert_close(cosines, expected, rtol=0, atol=1e-12)
    order = torch.randperm(ways, generator=torch.Generator().manual_seed(2))
    moved = network.answer(x, each[:, order], asked)[0]
    torch.testing.assert_close(moved, expected[:, order], rtol=0, atol=1e-12)


# The method


def test_too_many_pictures_are_refused_in_both_ways(monkeypatch) -> None:
    monkeypatch.setattr(maml_method, "MOST_SHOWN", len(LABELS) - 1)
    support = support_of(LABELS)
    with pytest.raises(InputError, match="too many: show at most"):
        METHODS["maml"](ENCODER).fit(support)
    with pytest.raises(InputError, match="too many: show at most"):
        METHODS["maml"](ENCODER).predict_batch(batch_of([support]), torch.from_numpy(QUERIES[None]))


def test_tasks_in_portions(monkeypatch) -> None:
    supports = [support_of(LABELS, seed) for seed in range(5)]
    queries = torch.from_numpy(np.stack([QUERIES[i : i + 3] for i in range(5)]))
    whole = METHODS["maml"](ENCODER).predict_batch(batch_of(supports), queries)
    for name, value in (("TASKS_AT_ONCE", 2), ("PICTURES_AT_ONCE", 1)):
        monkeypatch.setattr(maml_method, name, value)
        parts = METHODS["maml"](ENCODER).predict_batch(batch_of(supports), queries)
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)
    method = METHODS["maml"](ENCODER).fit(supports[0])
    expected = method.predict(QUERIES)
    monkeypatch.setattr(maml_method, "QUERIES_AT_ONCE", 3)
    parts = method.predict(QUERIES)
    np.testing.assert_allclose(parts.probabilities, expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(parts.evidence, expected.evidence, atol=1e-6)


def test_the_nearest_are_those_of_the_adapted_network() -> None:
    support = support_of(LABELS)
    method = METHODS["maml"](ENCODER).fit(support)
    evidence = method.predict(QUERIES).evidence
    ids, similarities = method.nearest(support, QUERIES, 3)
    expected = np.argsort(-evidence, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_allclose(
        similarities, np.take_along_axis(evidence, expected, axis=1), atol=1e-5
    )


def test_fitting_leaves_the_encoders_network_alone() -> None:
    network = ENCODER.maml_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    class Same(FakeEncoder):
        def maml_network(self):
            return network

    METHODS["maml"](Same()).fit(support_of(LABELS)).predict(QUERIES)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_an_encoder_without_such_a_network_is_refused() -> None:
    class Plain(FakeEncoder):
        maml_network = Encoder.maml_network

    with pytest.raises(InputError, match="fake carries none") as refusal:
        METHODS["maml"](Plain()).fit(support_of(LABELS))
    assert str(refusal.value).endswith("drawings.")


# The network for drawings, and training

TINY = ConvNetConfig(input_size=16, stem=8, widths=(16, 32), pooled=(False, True), grid=2, dim=32)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        for module in (drawings, maml_training):
            patch.setattr(module, "best_device", lambda: CPU)
        patch.setattr(maml_training, "VALIDATED", {5: 40})
        yield


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("omniglot")
    write_omniglot_tree(root, alphabets=4, characters=10, drawers=8)
    return root


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("initial") / "tiny.safetensors"
    torch.manual_seed(5)
    card = {"architecture": TINY.as_dict(), "data": {"name": "nothing"}, "licence": "MIT"}
    save_weights(path, with_prefix("encoder", ConvNet(TINY).state_dict()), card)
    return path


def recipe(**changes) -> MamlRecipe:
    settings = {
        "steps": 3,
        "batch": 60,
        "ways": (3, 5),
        "validation_alphabets": 1,
        "validate_every": 2,
        "rotations": False,
        "learning_rate": 3e-3,
        # Mild: what random weights make of all drawings is nearly the same.
        "inner": InnerLoop(steps=2, body_rate=0.05, row_rate=0.1, scale=5.0),
    }
    return MamlRecipe("maml", **(settings | changes))


def test_a_picture_embeds_the_same_in_any_company_in_training_too() -> None:
    torch.manual_seed(0)
    body, plain = AdaptableConvNet(TINY).train(), ConvNet(TINY).eval()
    with torch.no_grad():
        for module in body.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.weight.uniform_(0.5, 1)
    plain.load_state_dict(body.state_dict())
    x = torch.rand(6, 16 * 16)
    together = body(x)
    torch.testing.assert_close(together, plain(x.view(6, 1, 16, 16)))
    torch.testing.assert_close(body(x[2:3])[0], together[2])


def test_the_loss_falls_and_norms_keep_their_statistics(tree, initial) -> None:
    settings = recipe(steps=40, validate_every=40)
    characters = load_characters(tree, 16, settings.validation_alphabets, CPU)
    torch.manual_seed(0)
    weights = ConvNet(TINY).state_dict()
    objective = new_maml(settings, TINY, weights, CPU)
    objective.warm_start(characters.train)
    assert objective.network.row.norm().item() == pytest.approx(1, abs=1e-5)

    def fixed_loss() -> float:
        with torch.no_grad():
            losses = [
                objective.loss(characters.train, step_generator(99, i, CPU)) for i in range(8)
            ]
        return float(torch.stack(losses).mean())

    validation = maml_validation(characters.validation.data, {5: 100})
    before, accuracy = fixed_loss(), validation(objective)["5-way"]
    statistics = {n: b.clone() for n, b in objective.named_buffers()}
    run = maml_training.begin(objective, settings, {})
    train(run, settings, characters.train, validation)
    # By the prototypes of random weights 0.5 or so; 0.7 once trained.
    assert fixed_loss() < 0.8 * before
    assert validation(objective)["5-way"] > accuracy + 0.08
    assert all(torch.equal(b, statistics[n]) for n, b in objective.named_buffers())


def test_validation_equals_the_method_on_each_task(tree, initial, tmp_path) -> None:
    output = tmp_path / "mine.safetensors"
    train_maml(recipe(), Session(output, initial=initial, folder=tree))
    encoder, card = MamlEncoder("mine", output), load_card(output)
    held_out = load_omniglot("background", tree)
    (name,) = card["data"]["validation_alphabets"]
    chosen = np.flatnonzero(held_out.alphabets == held_out.alphabet_names.index(name))
    pool = held_out.select(chosen).pool()
    right = []
    for task in draw_episodes(pool.labels, Protocol(5, 1, 1), 40, seed=1):
        shown, asked = (
            encoder.embed([pool.pictures[i] for i in part]) for part in (task.support, task.queries)
        )
        support = Support(tuple("abcde"), task.support_labels, shown)
        answers = METHODS["maml"](encoder, Settings()).fit(support).predict(asked)
        right.append(answers.probabilities.argmax(1) == task.query_labels)
    assert np.mean(right) == pytest.approx(card["validation"]["5-way"], abs=1e-6)


def test_a_checkpoint_and_its_card(tree, initial, tmp_path) -> None:
    output = tmp_path / "mine.safetensors"
    run = train_maml(recipe(first_order=True), Session(output, initial=initial, folder=tree))
    card = load_card(output)
    assert card["order"] == "first order"
    assert card["inner"] == recipe().inner.as_dict()
    assert card["recipe"] == json.loads(json.dumps(recipe(first_order=True).as_dict()))
    assert card["warm_start"] == {"checkpoint": "tiny.safetensors", "sha256": sha256(initial)}
    assert card["validation"]["5-way"] == run.validation["5-way"]
    assert "not trained on" in card["validation"]["protocol"]
    assert (card["steps_done"], card["best_step"]) == (3, run.best_step)
    encoder = MamlEncoder("mine", output)
    assert encoder.temperature == card["temperature"] > 0
    drawn = load_omniglot("background", tree).pool().pictures[:3]
    ink = np.stack([find_ink(picture.pixels, 16) for picture in drawn])
    np.testing.assert_allclose(encoder.embed(drawn), ink.reshape(3, 256) / 255, atol=1e-6)
    views = encoder.embed_views(drawn, 2)
    assert views.shape == (3, 2, 256) and 0 <= views.min() < views.max() <= 1
    kept = {f"network.{n}": v for n, v in encoder.maml_network().state_dict().items()}
    assert all(torch.equal(kept[n], run.best[n]) for n in kept)


def test_an_interrupted_run_goes_on_to_the_same_weights(tree, initial, tmp_path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train_maml(recipe(), Session(whole, initial=initial, folder=tree))
    asked = iter([False, False, True])
    train_maml(
        recipe(), Session(parts, initial=initial, folder=tree, should_stop=lambda: next(asked))
    )
    assert load_card(parts)["steps_done"] == 2
    train_maml(recipe(), Session(parts, initial=initial, folder=tree, resume=True))
    assert sha256(parts) == sha256(whole)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["maml"], "--init"),
        (["maml", "--feature-map"], "--feature-map"),
        (["prototype", "--first-order"], "--first-order"),
        (["koch", "--init", "x.safetensors"], "--init"),
    ],
)
def test_options_that_do_not_go_together_are_told(tree, tmp_path, capsys, arguments, told) -> None:
    output = ["--data", str(tree), "--output", str(tmp_path / "a.safetensors")]
    assert main(["train", *arguments, *output]) == 2
    assert told in capsys.readouterr().err


def test_an_encoder_without_a_last_layer_is_refused(tree, tmp_path) -> None:
    path = tmp_path / "plain.safetensors"
    config = TINY.unprojected()
    card = {"architecture": config.as_dict(), "data": {"name": "nothing"}, "licence": "MIT"}
    save_weights(path, with_prefix("encoder", ConvNet(config).state_dict()), card)
    with pytest.raises(InputError, match="made without --feature-map"):
        train_maml(recipe(), Session(tmp_path / "mine.safetensors", initial=path, folder=tree))
