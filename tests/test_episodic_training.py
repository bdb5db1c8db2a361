"""Contrastive pairs and episodes: their losses, what training does with them, what comes out."""

from __future__ import annotations

import copy
import functools
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from omniglot_tree import write_omniglot_tree
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss
from pytorch_metric_learning.reducers import DoNothingReducer

from fewshot.cli import main
from fewshot.cli.train import METHODS as TRAINED_BY_CLI
from fewshot.compare import compare
from fewshot.data.omniglot import load_omniglot
from fewshot.encoders import CHECKPOINTS, get_encoder
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.drawings import AVERAGED, DrawingsEncoder
from fewshot.encoders.weights import load_card, load_weights, save_weights, sha256, with_prefix
from fewshot.episodes import Protocol, draw_episodes
from fewshot.evaluation import Evaluator
from fewshot.examples import example_task
from fewshot.losses import contrastive_loss, relation_loss
from fewshot.presets import PRESETS
from fewshot.temperature import TEMPERATURES
from fewshot.training import drawings, validation
from fewshot.training.drawings import (
    Characters,
    begin_drawings,
    load_characters,
    train_checkpoint,
)
from fewshot.training.loop import Run, train
from fewshot.training.objectives import OBJECTIVES
from fewshot.training.objectives_episodic import WARM_SQUARED_LENGTH, TrainingEpisodes
from fewshot.training.recipe import Recipe
from fewshot.training.samplers import step_generator
from fewshot.training.session import Session
from fewshot.training.validation import choose_temperature, embed_all, validate, validation_set
from fewshot.types import InputError

CPU = torch.device("cpu")
TINY = ConvNetConfig(input_size=16, stem=8, widths=(16, 32), pooled=(False, True), grid=2, dim=32)
CHARACTERS, DRAWERS = 10, 8
EPISODIC = ("matching", "prototypical", "relation")
METHODS = ("siamese-contrastive", *EPISODIC)
ALL = pytest.mark.parametrize("method", METHODS)


def recipe(method: str, **changes) -> Recipe:
    settings = {
        "steps": 6,
        "batch": 32,
        "images_per_class": 4,
        "validate_every": 5,
        "validation_alphabets": 1,
        "rotations": False,
        "learning_rate": 5e-3,
        "margin": 1.0,
        "scale": 2.0 if method == "prototypical" else 10.0,
        "shots": (1, 2),
        "ways": 4 if method == "relation" else 0,
    }
    return Recipe(method, **(settings | changes))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("omniglot")
    write_omniglot_tree(root, alphabets=4, characters=CHARACTERS, drawers=DRAWERS)
    write_omniglot_tree(root, alphabets=1, characters=6, drawers=DRAWERS, split="images_evaluation")
    return root


@pytest.fixture(scope="module", autouse=True)
def small_and_on_the_cpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(drawings, "best_device", lambda: CPU)
        patch.setattr(drawings, "validation_set", lambda data: validation_set(data, episodes=40))
        patch.setattr(validation, "EPISODES", 30)
        patch.setattr("fewshot.temperature.EPISODES", 30)
        yield


@pytest.fixture(scope="module")
def characters(tree: Path, small_and_on_the_cpu: None) -> Characters:
    return load_characters(tree, TINY.input_size, recipe("matching").validation_alphabets, CPU)


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny architecture whose card is from before lengths could be learned."""
    path = tmp_path_factory.mktemp("initial") / "tiny.safetensors"
    torch.manual_seed(5)
    architecture = {k: v for k, v in TINY.as_dict().items() if k != "unit_norm"}
    card = {"architecture": architecture, "data": {"name": "nothing"}, "licence": "MIT"}
    save_weights(path, with_prefix("encoder", ConvNet(TINY).state_dict()), card)
    return path


def begin(settings: Recipe, characters: Characters, weights=None) -> Run:
    return begin_drawings(settings, TINY, characters.train, weights)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Losses


@pytest.mark.parametrize("margin", [0.7, 1.5])
def test_the_contrastive_loss_is_pytorch_metric_learning_s(margin: float) -> None:
    x, labels = random(12, 6, seed=1) / 2, torch.arange(12) % 4
    distance = LpDistance(normalize_embeddings=False, p=2, power=1)
    theirs = ContrastiveLoss(0, margin, distance=distance, reducer=DoNothingReducer())(x, labels)
    # It leaves distances as they are; the paper squares them.
    same, different = (theirs[f"{kind}_loss"]["losses"].square() for kind in ("pos", "neg"))
    i, j = (~torch.eye(12, dtype=torch.bool)).nonzero().T
    ours = contrastive_loss(x[i], x[j], labels[i] == labels[j], margin)
    assert ours.item() == pytest.approx((same.sum() + different.sum()).item() / len(i), rel=1e-5)
    assert (different > 0).any() and (different == 0).any()


def test_the_relation_loss_by_hand() -> None:
    logits, labels = random(2, 3, 4), torch.tensor([1, 0, 3])
    total = 0.0
    for task in logits.tolist():
        for row, label in zip(task, labels.tolist(), strict=True):
            for c, logit in enumerate(row):
                total += (1 / (1 + math.exp(-logit)) - (c == label)) ** 2
    assert relation_loss(logits, labels).item() == pytest.approx(total / 24, rel=1e-5)


def episodes_of(shots: int, dim: int = TINY.dim) -> TrainingEpisodes:
    """Two tasks of three ways and two queries a class."""
    membership = torch.eye(3).repeat_interleave(shots, 0) / shots
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    return TrainingEpisodes(
        random(2, 6, dim, seed=1) / 4, random(2, 3 * shots, dim, seed=2) / 4, membership, labels
    )


@pytest.mark.parametrize("shots", [1, 3])
@pytest.mark.parametrize("method", EPISODIC)
def test_episode_losses_by_hand(characters: Characters, method: str, shots: int) -> None:
    objective = begin(recipe(method, scale=2.0), characters).objective
    episodes = episodes_of(shots)
    total = count = 0
    for task in range(2):
        supports = episodes.supports[task].numpy().astype(float).reshape(3, shots, -1)
        for query, label in zip(
            episodes.queries[task].numpy(), episodes.labels.tolist(), strict=True
        ):
            count += 1
            if method == "prototypical":  # the published formula
                terms = [math.exp(-((query - rows.mean(0)) ** 2).sum()) for rows in supports]
                total -= math.log(terms[label] / sum(terms))
            elif method == "matching":
                lengths = np.linalg.norm(supports, axis=2) * np.linalg.norm(query)
                terms = np.exp(2.0 * (supports @ query) / lengths)  # (3, shots)
                total -= math.log(terms[label].sum() / terms.sum())
            else:  # an untrained module: PairHead's distance
                head = objective.relation.distance
                for c, rows in enumerate(supports):
                    mean = torch.from_numpy(rows.mean(0)).float()
                    score = head(torch.from_numpy(query), mean).sigmoid().item()
                    total += (score - (c == label)) ** 2 / 3
    assert objective.episode_loss(episodes).item() == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize(("ways", "expected"), [(0, (8, 1)), (3, (3, 2)), (99, (8, 1))])
def test_a_batch_is_cut_into_episodes(characters, monkeypatch, ways: int, expected) -> None:
    settings = recipe("matching", ways=ways, shots=(1, 3), images_per_class=4)
    objective = begin(settings, characters).objective
    # An embedding is the class and the number of the image within the batch's class.
    labels = torch.tensor([7, 3, 9, 1, 0, 2, 8, 5]).repeat_interleave(4)
    x = torch.stack([labels.float(), torch.arange(32) % 4.0], 1)
    monkeypatch.setattr(objective, "_related_batch", lambda data, generator: (x, labels))
    seen = set()
    for step in range(12):
        episodes = objective._episodes(characters.train, step_generator(0, step, CPU))
        n_way, n_tasks = expected
        shots = episodes.supports.shape[1] // n_way
        seen.add(shots)
        assert episodes.queries.shape == (n_tasks, n_way * (4 - shots), 2)
        assert episodes.supports.shape == (n_tasks, n_way * shots, 2)
        for task in range(n_tasks):
            own = labels[::4][task * n_way : (task + 1) * n_way].float()
            assert torch.equal(episodes.queries[task, :, 0], own[episodes.labels])
            means = episodes.membership.T @ episodes.supports[task, :, 0]
            torch.testing.assert_close(means, own)
            assert (episodes.supports[task, :, 1] < shots).all()
            assert (episodes.queries[task, :, 1] >= shots).all()
    assert seen == {1, 3}


def test_a_small_batch_still_holds_two_classes(characters: Characters) -> None:
    settings = recipe("matching", batch=8, images_per_class=6)
    objective = begin(settings, characters).objective
    assert objective._episodes(characters.train, step_generator(0, 0, CPU)).membership.shape[1] == 2


# Learning


def fixed_loss(run: Run, characters: Characters) -> float:
    """Mean loss on ten batches that are the same each time."""
    objective = copy.deepcopy(run.objective).train()
    with torch.no_grad():
        steps = [step_generator(999, step, CPU) for step in range(10)]
        return float(np.mean([objective.loss(characters.train, g).item() for g in steps]))


@pytest.fixture(scope="module")
def learned(characters: Characters) -> Callable[[str], tuple[Run, float, float]]:
    """A run of each method, the share of its loss that is left, and the accuracy it has gained."""

    @functools.cache
    def of(method: str) -> tuple[Run, float, float]:
        settings = recipe(method, steps=60, batch=64, learning_rate=1e-2, related=0.0)
        run = begin(settings, characters)
        loss = fixed_loss(run, characters)
        score = validate(run.objective, characters.validation)["score"]
        train(run, settings, characters.train, characters.validation)
        now = validate(run.objective, characters.validation)["score"]
        return run, fixed_loss(run, characters) / loss, now - score

    return of


@ALL
def test_it_learns(learned: Callable, method: str) -> None:
    _, loss_left, gained = learned(method)
    assert loss_left < 0.8
    assert gained > 0.08  # 10-way 1-shot on an alphabet never trained on


@ALL
def test_the_seed_alone_decides_and_a_resumed_run_ends_alike(
    characters: Characters, tmp_path: Path, method: str
) -> None:
    settings = recipe(method)
    state = tmp_path / "state.safetensors"
    whole = train(begin(settings, characters), settings, characters.train, characters.validation)
    left = iter([False] * 4 + [True])
    options = {"state": state, "should_stop": lambda: next(left)}
    torch.manual_seed(8)
    train(begin(settings, characters), settings, characters.train, characters.validation, **options)
    run = begin(settings, characters)
    run.load(state, settings)
    assert run.step == 4
    train(run, settings, characters.train, characters.validation)
    for name, value in whole.objective.state_dict().items():
        assert torch.equal(run.objective.state_dict()[name], value), name


@ALL
def test_validation_ranks_as_the_method_does(characters: Characters, method: str) -> None:
    objective = begin(recipe(method), characters).objective.eval()
    if method == "relation":
        torch.nn.init.normal_(objective.relation.out.weight, std=0.5)
    held_out = validation_set(characters.validation.data, episodes=15)
    x = embed_all(objective, held_out.data).numpy()

    def cost(query: np.ndarray, row: np.ndarray) -> float:
        if method == "matching":
            return -float(query @ row) / np.linalg.norm(query) / np.linalg.norm(row)
        if method == "relation":
            return -objective.relation(torch.from_numpy(query), torch.from_numpy(row)).item()
        return float(((query - row) ** 2).sum())

    figures = validate(objective, held_out)
    for name, episodes in held_out.episodes.items():
        right = []
        for episode in episodes:
            for query, label in zip(episode.queries, episode.query_labels, strict=True):
                costs = [cost(x[query], x[s]) for s in episode.support]
                right.append(episode.support_labels[int(np.argmin(costs))] == label)
        assert figures[name] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("method", ["siamese-contrastive", "matching", "prototypical"])
def test_the_temperature_is_the_likeliest_by_its_formula(characters, learned, method) -> None:
    objective = learned(method)[0].objective
    chosen = choose_temperature(objective, characters.validation)
    x = embed_all(objective, characters.validation.data).double().numpy()
    labels = np.arange(CHARACTERS).repeat(DRAWERS)
    losses = dict.fromkeys(TEMPERATURES, 0.0)
    for seed, shots in ((3, 1), (4, 5)):
        for episode in draw_episodes(labels, Protocol(5, shots, 1), 30, seed):
            rows = x[episode.support].reshape(5, shots, -1)
            for query, label in zip(episode.queries, episode.query_labels, strict=True):
                for temperature in losses:
                    if method == "matching":
                        terms = np.exp(temperature * (rows @ x[query])).sum(1)
                    elif method == "prototypical":
                        squared = ((x[query] - rows.mean(1)) ** 2).sum(1)
                        terms = np.exp(-temperature / 2 * (squared - squared.min()))
                    else:
                        distances = np.linalg.norm(x[query] - rows, axis=2).mean(1)
                        terms = np.exp(-temperature * distances)
                    losses[temperature] -= math.log(max(terms[label] / terms.sum(), 1e-300))
    assert chosen == min(losses, key=losses.get)
    assert TEMPERATURES[0] < chosen < TEMPERATURES[-1]


def test_a_warm_start_gives_embeddings_a_length(characters: Characters, initial: Path) -> None:
    weights = {k.removeprefix("encoder."): v for k, v in load_weights(initial).items()}
    network = ConvNet(TINY).eval()
    network.load_state_dict(weights)
    objective = begin(recipe("prototypical"), characters, weights).objective.eval()
    drawing = characters.train.ink[:, :1].float() / 255  # one of each character
    with torch.no_grad():
        ours, theirs = objective.encoder(drawing), network(drawing)
    assert ours.square().sum(1).mean().item() == pytest.approx(WARM_SQUARED_LENGTH, rel=1e-4)
    assert ours.norm(dim=1).std() > 1e-3
    torch.testing.assert_close(torch.nn.functional.normalize(ours, dim=1), theirs)


# From files to a checkpoint, and back


@pytest.fixture(scope="module")
def checkpoints(tree: Path, initial: Path, tmp_path_factory) -> Path:
    """Each method's, of two steps, where the registry looks for them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for method in METHODS:
        output = folder / f"{PRESETS['drawings'].encoders[method]}.safetensors"
        train_checkpoint(recipe(method, steps=2), Session(output, folder=tree, initial=initial))
    return folder


@pytest.fixture
def shelf(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The registry, with these checkpoints and nothing loaded."""
    monkeypatch.setattr("fewshot.encoders.CHECKPOINTS", checkpoints)
    monkeypatch.setattr("fewshot.encoders._loaded", {})
    return checkpoints


@ALL
def test_a_checkpoint_holds_what_the_method_needs(checkpoints: Path, method: str) -> None:
    path = checkpoints / f"{PRESETS['drawings'].encoders[method]}.safetensors"
    card, weights = load_card(path), load_weights(path)
    assert card["method"] == method
    assert card["architecture"]["unit_norm"] == (method != "prototypical")
    assert card["recipe"] == json.loads(json.dumps(recipe(method, steps=2).as_dict()))
    assert card["warm_start"]["checkpoint"] == "tiny.safetensors"
    assert {name.split(".")[0] for name in weights} == (
        {"encoder", "relation"} if method == "relation" else {"encoder"}
    )


def test_embeddings_of_learned_length_are_plain_means(tree: Path, checkpoints: Path) -> None:
    path = checkpoints / "drawings-prototypical.safetensors"
    encoder = DrawingsEncoder("mine", path)
    assert not encoder.unit_norm
    pictures = load_omniglot("background", tree).pool().pictures[:4]
    x, views = encoder.embed(pictures), encoder.embed_views(pictures, AVERAGED)
    network = ConvNet(ConvNetConfig.from_dict(load_card(path)["architecture"])).eval()
    weights = load_weights(path)
    network.load_state_dict({k.removeprefix("encoder."): v for k, v in weights.items()})
    with torch.no_grad():
        plain = network(encoder._ink(pictures)[:, None].float() / 255).numpy()
    expected = (plain + views.sum(1)) / (AVERAGED + 1)
    np.testing.assert_allclose(x, expected, rtol=1e-4, atol=1e-5)
    assert np.linalg.norm(x, axis=1).std() > 1e-3


def test_the_relation_module_is_the_trained_one(checkpoints: Path) -> None:
    path = checkpoints / "drawings-relation.safetensors"
    head = DrawingsEncoder("mine", path).relation_head()
    weights = load_weights(path)
    assert weights["relation.out.weight"].abs().max() > 0  # two steps moved it
    for name, value in head.state_dict().items():
        assert torch.equal(value, weights[f"relation.{name}"])


@ALL
def test_evaluation_equals_pictures_done_by_hand(tree: Path, shelf: Path, method: str) -> None:
    pool = load_omniglot("evaluation", tree).pool()
    episodes = draw_episodes(pool.labels, Protocol(4, 2, 2), 10, 0)
    result = Evaluator(pool, [method]).run(episodes)
    encoder = get_encoder(PRESETS["drawings"].encoders[method])
    accuracies = []
    for episode in episodes:
        shown = encoder.embed([pool.pictures[i] for i in episode.support]).reshape(4, 2, -1)
        asked = encoder.embed([pool.pictures[i] for i in episode.queries])
        if method == "relation":
            head, means = encoder.relation_head(), torch.from_numpy(shown.mean(1))
            scores = [head(torch.from_numpy(q), means).tolist() for q in asked]
        elif method == "prototypical":
            scores = [-((q - shown.mean(1)) ** 2).sum(1) for q in asked]
        elif method == "matching":
            scores = [np.exp(encoder.temperature * (shown @ q - 1)).sum(1) for q in asked]
        else:
            scores = [-np.linalg.norm(q - shown, axis=2).mean(1) for q in asked]
        accuracies.append(np.mean(np.argmax(scores, 1) == episode.query_labels))
    np.testing.assert_allclose(result.accuracies[method], accuracies)


def test_the_command_line_trains_and_evaluates(tree: Path, initial: Path, shelf: Path, capsys):
    output = shelf / "new.safetensors"
    command = ["train", "prototypical", "--data", str(tree), "--init", str(initial)]
    assert main([*command, "--output", str(output), "--steps", "2", "--batch", "24"]) == 0
    card = load_card(output)
    assert (card["method"], card["recipe"]["steps"], card["recipe"]["scale"]) == (
        "prototypical", 2, 2.0
    )  # fmt: skip
    options = ["--ways", "4", "--shots", "2", "--episodes", "5"]
    methods = "matching,prototypical,relation,siamese-contrastive"
    assert main(["evaluate", "--data", str(tree), *options, "--methods", methods]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{method} " in f"\n{printed}" for method in methods.split(","))


def test_the_command_line_trains_all_objectives() -> None:
    assert set(TRAINED_BY_CLI) >= set(OBJECTIVES)


# What cannot be had


def test_a_missing_checkpoint_is_one_sentence(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("fewshot.encoders.CHECKPOINTS", tmp_path)
    monkeypatch.setattr("fewshot.encoders._loaded", {})
    with pytest.raises(
        InputError, match=r"drawings-matching\.safetensors is not in assets"
    ) as said:
        get_encoder("drawings-matching")
    assert "\n" not in str(said.value) and str(tmp_path) not in str(said.value)


def test_checkpoints_of_ones_own_go_before_the_shipped_ones(
    tmp_path: Path, checkpoints: Path, monkeypatch
) -> None:
    name = "drawings-matching"
    shipped = get_encoder(name).checkpoint
    for suffix in (".safetensors", ".json"):
        shutil.copy((checkpoints / name).with_suffix(suffix), tmp_path)
    monkeypatch.setenv("FEWSHOT_CHECKPOINTS", str(tmp_path))
    own = get_encoder(name).checkpoint
    assert own == sha256(tmp_path / f"{name}.safetensors") != shipped
    other = "drawings-relation"  # which is not there
    assert get_encoder(other).checkpoint == sha256(CHECKPOINTS / f"{other}.safetensors")
    monkeypatch.delenv("FEWSHOT_CHECKPOINTS")
    assert get_encoder(name).checkpoint == shipped
    monkeypatch.setenv("FEWSHOT_CHECKPOINTS", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="FEWSHOT_CHECKPOINTS is to name a folder"):
        get_encoder(name)


def test_a_method_that_a_preset_lacks_is_left_out_and_told(tree: Path) -> None:
    pool = load_omniglot("evaluation", tree).pool()
    with pytest.raises(InputError, match="preset photos has no encoder for relation: choose"):
        Evaluator(pool, ["relation"], "photos")
    task = example_task("one-shot")
    answer = compare(task.support, task.queries[:1], "photos", ("pixels", "relation"))
    assert list(answer.results) == ["pixels"]
    assert "no encoder for relation" in answer.unavailable["relation"]
