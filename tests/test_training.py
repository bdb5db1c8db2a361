"""The training loop: it learns, stops, resumes to the same weights, and writes what it should."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from omniglot_tree import write_omniglot_tree
from safetensors.torch import load_file, save_file

from fewshot.data.omniglot import Omniglot, load_omniglot
from fewshot.encoders.augment import Augmentation
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.drawings import AVERAGED, DrawingsEncoder
from fewshot.encoders.ink import find_ink
from fewshot.encoders.weights import (
    card_path,
    half_precision,
    load_card,
    save_weights,
    sha256,
    with_prefix,
    without_prefix,
)
from fewshot.episodes import Protocol, draw_episodes
from fewshot.losses import batch_hard_triplet_loss, one_shot_loss
from fewshot.temperature import TEMPERATURES
from fewshot.training import drawings, loop, timing, validation
from fewshot.training.averaging import RunningMean
from fewshot.training.checkpoint import load_state, state_path
from fewshot.training.drawings import (
    Characters,
    begin_drawings,
    load_characters,
    omniglot_ink,
    train_checkpoint,
)
from fewshot.training.loop import Progress, Run, kept_weights, train
from fewshot.training.objectives import OBJECTIVES, TrainingData
from fewshot.training.optimizers import optimizer_of
from fewshot.training.recipe import RECIPES, WARM_RECIPES, Recipe
from fewshot.training.samplers import draw_images, step_generator
from fewshot.training.session import Session
from fewshot.training.validation import choose_temperature, embed_all, validate, validation_set
from fewshot.types import InputError

CPU = torch.device("cpu")
TINY = ConvNetConfig(input_size=16, stem=8, widths=(16, 32), pooled=(False, True), grid=2, dim=32)
ALPHABETS, CHARACTERS, DRAWERS = 4, 10, 8
METHODS = ("prototype", "siamese", "triplet")


def recipe(method: str = "prototype", **changes) -> Recipe:
    settings = {
        "steps": 12,
        "batch": 32,
        "validate_every": 5,
        "validation_alphabets": 1,
        "rotations": False,
        "scale": 10.0,
        "learning_rate": 5e-3,
        "margin": 0.3 if method == "triplet" else 0.1,
    }
    return Recipe(method, **(settings | changes))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("omniglot")
    write_omniglot_tree(root, alphabets=ALPHABETS, characters=CHARACTERS, drawers=DRAWERS)
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module", autouse=True)
def small_and_on_the_cpu(cache: Path) -> Iterator[None]:
    """Few episodes a validation, the same device everywhere, and never the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawings, "best_device", lambda: CPU)
        patch.setattr(drawings, "validation_set", lambda data: validation_set(data, episodes=60))
        patch.setattr(validation, "EPISODES", 30)
        patch.setattr("fewshot.temperature.EPISODES", 30)
        yield


@pytest.fixture(scope="module")
def characters(tree: Path, small_and_on_the_cpu: None) -> Characters:
    return load_characters(tree, TINY.input_size, recipe().validation_alphabets, CPU)


def begin(settings: Recipe, characters: Characters, initial=None) -> Run:
    return begin_drawings(settings, TINY, characters.train, initial)


def trained(settings: Recipe, characters: Characters, **options) -> Run:
    run = begin(settings, characters)
    return train(run, settings, characters.train, characters.validation, **options)


def after(steps: int) -> Callable[[], bool]:
    """Ask to stop once so many steps are done."""
    asked = itertools.count()
    return lambda: next(asked) >= steps


def same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


# Learning


def fixed_loss(run: Run, data: TrainingData) -> float:
    """Mean loss on ten batches that are the same each time."""
    objective = copy.deepcopy(run.objective).train()
    with torch.no_grad():
        losses = [objective.loss(data, step_generator(999, step, CPU)) for step in range(10)]
    return float(torch.stack(losses).mean())


def learned(
    settings: Recipe, characters: Characters, initial=None, **options
) -> tuple[Run, float, float]:
    """A run, the share of its loss that is left, and the accuracy it has gained."""
    run = begin(settings, characters, initial)
    loss = fixed_loss(run, characters.train)
    score = validate(run.objective, characters.validation)["score"]
    train(run, settings, characters.train, characters.validation, **options)
    now = validate(run.objective, characters.validation)["score"]
    return run, fixed_loss(run, characters.train) / loss, now - score


REPORTS: list[Progress] = []


@pytest.fixture(scope="module")
def pretrained(characters: Characters) -> tuple[Run, float, float]:
    settings = recipe(steps=60, batch=64, learning_rate=1e-2)
    return learned(settings, characters, on_progress=REPORTS.append)


def test_prototype_learns(pretrained) -> None:
    run, loss_left, gained = pretrained
    # 10-way 1-shot on an alphabet never trained on: from 0.45 or so at random weights to 0.7.
    assert loss_left < 0.5
    assert gained > 0.1
    assert run.validation["score"] > 0.55


def test_progress_is_reported_on_the_way(pretrained) -> None:
    assert [report.step for report in REPORTS] == [20, 40, 60]
    assert REPORTS[0].loss > REPORTS[1].loss > REPORTS[2].loss
    assert all(report.steps == 60 for report in REPORTS)
    assert all(report.images_per_second > 0 for report in REPORTS)
    assert all(0 < report.validation["score"] <= 1 for report in REPORTS)


def test_siamese_learns(characters: Characters) -> None:
    settings = recipe("siamese", steps=60, batch=64, learning_rate=1e-2, rotations=True)
    run, loss_left, gained = learned(settings, characters)
    assert loss_left < 0.85
    assert gained > 0.1
    assert run.validation["score"] > 0.55


def test_triplet_learns_from_pretrained_weights(characters: Characters, pretrained) -> None:
    initial = {
        name.removeprefix("encoder."): value
        for name, value in pretrained[0].best.items()
        if name.startswith("encoder.")
    }
    settings = recipe("triplet", steps=60, batch=64, learning_rate=3e-3)
    _, loss_left, gained = learned(settings, characters, initial)
    assert loss_left < 0.8
    assert gained > 0.03


# The same seed, another seed


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_alone_decides_the_weights(characters: Characters, method: str) -> None:
    settings = recipe(method, steps=4)
    torch.manual_seed(1)
    first = trained(settings, characters)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = trained(settings, characters)
    assert torch.equal(before, torch.get_rng_state())  # nor is the global generator touched
    assert same_weights(first.objective.state_dict(), second.objective.state_dict())
    other = trained(settings.with_changes(seed=1), characters)
    weights = other.objective.state_dict()
    assert not torch.equal(
        weights["encoder.embed.weight"], first.objective.state_dict()["encoder.embed.weight"]
    )


@pytest.mark.parametrize("method", ["siamese", "triplet"])
def test_a_large_batchs_gradient_is_summed_in_one_order(method: str) -> None:
    """From 32,768 numbers on, torch shares an indexed gradient's sum among threads as they come."""
    rows = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(256) // 4

    def summed() -> torch.Tensor:
        x = rows.clone().requires_grad_()
        if method == "triplet":
            batch_hard_triplet_loss(x, labels, 0.3).backward()
        else:
            settings = recipe("siamese", batch=256, images_per_class=4)
            objective = OBJECTIVES["siamese"](ConvNet(replace(TINY, dim=256)), settings, 64)
            with mock.patch.object(objective, "_related_batch", lambda *_: (x, labels)):
                objective.loss(None, torch.Generator().manual_seed(1)).backward()
        return x.grad

    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        first = summed()
        assert all(torch.equal(summed(), first) for _ in range(20))
    finally:
        torch.set_num_threads(threads)


def test_the_seed_decides_the_batches_too(characters: Characters) -> None:
    initial = ConvNet(TINY).state_dict()
    runs = []
    for seed in (0, 1):
        settings = recipe("triplet", steps=1, seed=seed)
        run = begin(settings, characters, initial)
        runs.append(train(run, settings, characters.train, characters.validation))
    one, two = (run.objective.state_dict()["encoder.embed.weight"] for run in runs)
    assert not torch.equal(one, two)


# Stopping and resuming


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [*itertools.product(METHODS, ["adamw", "sgd"]), (METHODS[0], "muon")],
)
@pytest.mark.parametrize("stop", [7, 10])
def test_a_resumed_run_ends_in_the_same_weights(
    characters: Characters, tmp_path: Path, method: str, optimizer: str, stop: int
) -> None:
    settings = recipe(method, optimizer=optimizer, batch=24)
    state = tmp_path / "run.state.safetensors"
    whole = trained(settings, characters)
    stopped = trained(settings, characters, state=state, should_stop=after(stop))
    assert stopped.step == stop
    resumed = begin(settings, characters)
    resumed.load(state, settings)
    assert resumed.step == stop
    train(resumed, settings, characters.train, characters.validation)
    assert resumed.step == settings.steps
    assert same_weights(resumed.objective.state_dict(), whole.objective.state_dict())
    assert same_weights(resumed.best, whole.best)
    assert resumed.best_step == whole.best_step
    assert resumed.validation == whole.validation
    assert not same_weights(stopped.objective.state_dict(), whole.objective.state_dict())


def test_a_running_mean_is_what_numpy_makes_of_the_weights() -> None:
    module = torch.nn.BatchNorm1d(3)
    rng = np.random.default_rng(0)
    history = rng.normal(size=(40, 3))
    mean = RunningMean(module, 0.8)
    expected = np.ones(3)  # how a norm's weights start
    for step, weights in enumerate(history, 1):
        module.weight.data.copy_(torch.from_numpy(weights))
        module.num_batches_tracked.fill_(step)
        mean.update(module, step)
        leaves = min(0.8, step / (step + 10))
        expected = leaves * expected + (1 - leaves) * weights
    np.testing.assert_allclose(mean.values["weight"].numpy(), expected, atol=1e-6)
    assert mean.values["num_batches_tracked"] == 40
    with mean.in_use(module):
        assert torch.equal(module.weight, mean.values["weight"])
    np.testing.assert_allclose(module.weight.detach().numpy(), history[-1], atol=1e-6)


def test_the_mean_of_the_weights_is_validated_kept_and_resumed(
    characters: Characters, tmp_path: Path
) -> None:
    settings = recipe(averaging=0.7, steps=6, validate_every=6)
    seen = []
    means = begin(settings, characters)
    followed = RunningMean(means.objective, 0.7)

    def look() -> bool:
        if means.step:
            followed.update(means.objective, means.step)
        return False

    def validate_weights(objective) -> dict[str, float]:
        seen.append(copy.deepcopy(objective.state_dict()))
        return {"score": 1.0}

    train(means, settings, characters.train, validate_weights, should_stop=look)
    followed.update(means.objective, means.step)  # after the last step nobody asks
    assert same_weights(seen[0], followed.values) and same_weights(means.best, followed.values)
    assert not same_weights(means.best, means.objective.state_dict())

    state = tmp_path / "state"
    trained(settings, characters, state=state, should_stop=after(4))
    resumed = begin(settings, characters)
    resumed.load(state, settings)
    train(resumed, settings, characters.train, characters.validation)
    assert same_weights(resumed.best, means.best)


def test_episodes_and_base_characters_in_one_loss(characters: Characters) -> None:
    """Their sum, of the same batch, each by its own definition."""
    settings = recipe(episodic=True, base=0.5, related=0.0, margin=0.1)
    objective = begin(settings, characters).objective.eval()
    x, labels = objective._related_batch(characters.train, step_generator(0, 0, CPU))
    ours = objective.loss(characters.train, step_generator(0, 0, CPU)).item()
    rows = torch.nn.functional.normalize(objective.rows, dim=1)
    cosines = (x @ rows.T).detach().double().numpy()
    cosines[np.arange(len(x)), labels] -= 0.1
    exponentials = np.exp(10.0 * cosines)
    base = -np.log(exponentials[np.arange(len(x)), labels] / exponentials.sum(1)).mean()
    episodes = one_shot_loss(x, labels, 10.0, 0.1).item()
    assert ours == pytest.approx(episodes + 0.5 * base, rel=1e-5)


def test_stopping_twice_and_after_the_end(characters: Characters, tmp_path: Path) -> None:
    settings = recipe(steps=9)
    whole = trained(settings, characters)
    state = tmp_path / "state"
    trained(settings, characters, state=state, should_stop=after(2))
    for more in (3, 100, 100):
        run = begin(settings, characters)
        run.load(state, settings)
        train(
            run,
            settings,
            characters.train,
            characters.validation,
            state=state,
            should_stop=after(more),
        )
    assert run.step == 9
    assert same_weights(run.objective.state_dict(), whole.objective.state_dict())


def test_a_stop_before_the_first_step_leaves_what_an_earlier_run_wrote(
    characters: Characters, tmp_path: Path
) -> None:
    output, settings = tmp_path / "good.safetensors", recipe()
    session = Session(output, should_stop=lambda: True)
    for path in (output, session.state):
        path.write_bytes(b"an earlier run's")
    run = begin(settings, characters)
    with pytest.raises(InputError, match="before the first step: nothing was written"):
        session.carry_out(run, settings, characters.train, characters.validation)
    for path in (output, session.state):
        assert path.read_bytes() == b"an earlier run's"


def scored(monkeypatch: pytest.MonkeyPatch, scores: dict[int, float]) -> list[Run]:
    """Let validation say these scores by step; the run it is about goes into the list."""
    current: list[Run] = []
    said = lambda *_: {"score": scores[current[-1].step]}  # noqa: E731
    monkeypatch.setattr("fewshot.training.validation.validate", said)
    return current


def test_the_best_weights_are_kept_and_later_ones_win_a_tie(
    characters: Characters, monkeypatch
) -> None:
    settings = recipe(steps=8, validate_every=2)
    current = scored(monkeypatch, {2: 0.5, 4: 0.7, 6: 0.7, 8: 0.6})
    run = begin(settings, characters)
    current.append(run)
    seen = {}

    def look() -> bool:
        seen[run.step] = copy.deepcopy(run.objective.state_dict())
        return False

    train(run, settings, characters.train, characters.validation, should_stop=look)
    assert run.best_step == 6
    assert run.validation == {"score": 0.7}
    assert same_weights(run.best, seen[6])
    assert not same_weights(run.best, run.objective.state_dict())


def test_a_stop_adds_no_candidate_that_an_uninterrupted_run_would_not_have(
    characters: Characters, tmp_path: Path, monkeypatch
) -> None:
    settings = recipe()
    # Stopped at step 3, which happens to do well; the uninterrupted run looks at 5, 10 and 12.
    current = scored(monkeypatch, {3: 0.9, 5: 0.5, 10: 0.6, 12: 0.4})
    current.append(begin(settings, characters))
    train(
        current[-1],
        settings,
        characters.train,
        characters.validation,
        state=tmp_path / "state",
        should_stop=after(3),
    )
    assert current[-1].best_step == 3  # until it goes on, these are all there is
    current.append(begin(settings, characters))
    current[-1].load(tmp_path / "state", settings)
    train(current[-1], settings, characters.train, characters.validation)
    assert current[-1].best_step == 10


def test_a_killed_run_goes_on_from_its_last_save(
    characters: Characters, tmp_path: Path, monkeypatch
) -> None:
    settings = recipe()
    whole = trained(settings, characters)
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", -1)
    calls = itertools.count()

    def kill() -> bool:
        if next(calls) == 7:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        trained(settings, characters, state=tmp_path / "state", should_stop=kill)
    run = begin(settings, characters)
    run.load(tmp_path / "state", settings)
    assert run.step == 7
    train(run, settings, characters.train, characters.validation)
    assert same_weights(run.objective.state_dict(), whole.objective.state_dict())
    assert same_weights(run.best, whole.best)


def test_time_is_counted_over_all_resumptions(characters: Characters, tmp_path: Path) -> None:
    settings = recipe()
    run = trained(settings, characters, state=tmp_path / "state", should_stop=after(5))
    assert run.seconds > 0
    run.seconds = 1000.0
    run.save(tmp_path / "state", settings)
    resumed = begin(settings, characters)
    resumed.load(tmp_path / "state", settings)
    train(resumed, settings, characters.train, characters.validation)
    assert 1000 < resumed.seconds < 1060


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("steps", 13),
        ("learning_rate", 1e-4),
        ("augmentation", Augmentation(rotation=11.0)),
        ("layer_rates", {"encoder.stem": 0.5}),
    ],
)
def test_the_state_of_another_recipe_is_refused(
    characters: Characters, tmp_path: Path, name: str, value
) -> None:
    settings = recipe()
    begin(settings, characters).save(tmp_path / "state", settings)
    other = settings.with_changes(**{name: value})
    values = rf" \({getattr(settings, name)}, here {value}\)" if type(value) in (int, float) else ""
    with pytest.raises(InputError, match=f"another {name}{values};"):
        begin(other, characters).load(tmp_path / "state", other)


def test_the_state_of_a_run_on_other_characters_is_refused(
    characters: Characters, tmp_path: Path
) -> None:
    settings = recipe()
    fewer = TrainingData(characters.train.ink[:7], characters.train.groups[:7])
    begin_drawings(settings, TINY, fewer).save(tmp_path / "state", settings)
    with pytest.raises(InputError):
        begin(settings, characters).load(tmp_path / "state", settings)


def test_slow_steps_are_told_of_one_by_one(characters: Characters, monkeypatch) -> None:
    settings, told = recipe(steps=3, validate_every=3), []
    now = iter(range(0, 10**6, 10))
    monkeypatch.setattr("fewshot.training.loop.time.monotonic", lambda: next(now))
    run = begin(settings, characters)
    train(run, settings, characters.train, lambda _: {"score": 0.5}, on_progress=told.append)
    assert [progress.step for progress in told] == [1, 2, 3]
    assert told[0].seconds_left > told[1].seconds_left > told[2].seconds_left == 0


def test_a_run_goes_on_with_the_same_drawings_alone(tmp_path: Path) -> None:
    output, small = tmp_path / "one.safetensors", recipe(steps=4, batch=8)
    for seed, resume in ((0, False), (0, True), (1, True)):
        folder = tmp_path / f"drawings{seed}"
        if not folder.exists():
            write_omniglot_tree(folder, alphabets=5, characters=4, drawers=20, seed=seed)
        stop = after(2) if not resume else (lambda: True)
        session = Session(output, folder, resume=resume, should_stop=stop)
        if seed:
            with pytest.raises(InputError, match="with another data"):
                train_checkpoint(small, session)
        else:
            train_checkpoint(small, session)


def test_an_earlier_run_is_replaced_on_request_alone(
    tree: Path, initial: Path, tmp_path: Path
) -> None:
    output, stopped = tmp_path / "one.safetensors", after(2)
    small = {"changes": {"steps": 4, "batch": 8}}
    make(output, tree, initial, should_stop=stopped, **small)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r"stopped after 2 of 4 steps: go on with --resume"):
        make(output, tree, initial, **small)
    assert kept == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert make(output, tree, initial, resume=True, **small).step == 4
    with pytest.raises(InputError, match=r"is there already: begin anew with --overwrite"):
        make(output, tree, initial, **small)
    output.with_suffix(".state.safetensors").unlink()  # the weights alone, as they are shipped
    with pytest.raises(InputError, match="is there already"):
        make(output, tree, initial, **small)
    changes = small["changes"] | {"steps": 1}
    assert make(output, tree, initial, overwrite=True, changes=changes).step == 1


def test_a_model_is_not_written_among_other_files(tmp_path: Path) -> None:
    session = Session(tmp_path / "model")
    session.check_is_folder()
    session.output.mkdir()
    session.check_is_folder()  # an empty one holds nothing to lose
    (session.output / "card.json").write_text("{}")
    with pytest.raises(InputError, match="is there already"):
        session.check_is_folder()


def test_each_folder_of_a_model_has_a_state_of_its_own() -> None:
    states = {Session(Path(name)).state for name in ("clip-v1.4", "clip-v1.5", "clip-v1")}
    assert len(states) == 3
    assert Session(Path("a.safetensors")).state.name == "a.state.safetensors"


def test_a_broken_state_is_refused(characters: Characters, tmp_path: Path) -> None:
    settings, state = recipe(), tmp_path / "state"
    with pytest.raises(InputError, match="no run to resume"):
        begin(settings, characters).load(state, settings)
    begin(settings, characters).save(state, settings)
    whole = state.read_bytes()
    run = begin(settings, characters)
    before = copy.deepcopy(run.objective.state_dict())
    for broken in (b"", whole[:5], whole[:300], whole[:-1], b"\0" * 1000, b"garbage" * 100):
        state.write_bytes(broken)
        with pytest.raises(InputError, match="not the state"):
            run.load(state, settings)
    assert same_weights(run.objective.state_dict(), before)


def test_files_of_another_kind_are_refused_as_a_state(
    characters: Characters, tmp_path: Path
) -> None:
    settings, state = recipe(), tmp_path / "state"
    run = begin(settings, characters)
    good = {"recipe": settings.as_dict(), "step": 1, "best_step": 1, "validation": {}}
    for metadata in (None, {}, {"run": "no JSON"}, {"run": "{}"}, {"run": json.dumps(good)}):
        save_file({"x": torch.zeros(2)}, state, metadata)
        with pytest.raises(InputError):
            run.load(state, settings)
    state.unlink()
    state.mkdir()
    with pytest.raises(InputError):
        run.load(state, settings)


def test_a_failed_save_leaves_the_old_state(
    characters: Characters, tmp_path: Path, monkeypatch
) -> None:
    settings, state = recipe(), tmp_path / "state"
    run = trained(settings, characters, state=state, should_stop=after(2))
    before = state.read_bytes()
    run.step = 11

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            run.save(state, settings)
    assert state.read_bytes() == before
    assert list(tmp_path.iterdir()) == [state]
    assert load_state(state)[1]["step"] == 2


# Rates


def rates(settings: Recipe, characters: Characters, monkeypatch) -> list[float]:
    """The learning rate each step was done with."""
    seen: list[float] = []
    monkeypatch.setattr(loop, "REPORT_EVERY", 1)
    run = begin(settings, characters)
    train(
        run,
        settings,
        characters.train,
        characters.validation,
        on_progress=lambda _: seen.append(run.optimizer.param_groups[0]["lr"]),
    )
    return seen


def test_warm_up_then_cosine(characters: Characters, monkeypatch) -> None:
    settings = recipe(steps=14, warmup=0.3, learning_rate=0.08, batch=8, validate_every=99)
    seen = rates(settings, characters, monkeypatch)
    # Four steps up (0.3 · 14 = 4.2), then ten of the cosine from its top; by hand at 0°, 18°, 90°.
    assert seen[:4] == pytest.approx([0.02, 0.04, 0.06, 0.08])
    assert seen[4] == pytest.approx(0.08)
    assert seen[5] == pytest.approx(0.04 * (1 + 0.9510565163))
    assert seen[9] == pytest.approx(0.04)
    assert seen[13] == pytest.approx(0.04 * (1 - 0.9510565163))


def test_without_warm_up_the_first_step_has_the_full_rate(characters, monkeypatch) -> None:
    settings = recipe(steps=5, warmup=0.0, learning_rate=0.01, batch=8, validate_every=99)
    assert rates(settings, characters, monkeypatch)[0] == pytest.approx(0.01)


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_layer_rate_of_zero_leaves_the_layer_as_it_is(characters, optimizer: str) -> None:
    frozen = ("encoder.stem.", "encoder.blocks.0.")
    settings = recipe(
        steps=3, optimizer=optimizer, weight_decay=0.5, layer_rates=dict.fromkeys(frozen, 0.0)
    )
    run = begin(settings, characters)
    before = {name: value.clone() for name, value in run.objective.named_parameters()}
    train(run, settings, characters.train, characters.validation)
    for name, value in run.objective.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith(frozen), name


def test_a_layer_rate_scales_the_layers_step(characters: Characters) -> None:
    moved = []
    for layer_rates in ({}, {"encoder.embed": 0.25}):
        settings = recipe(
            steps=1, optimizer="sgd", weight_decay=0.0, layer_rates=layer_rates, warmup=0.0
        )
        run = begin(settings, characters)
        before = {name: value.clone() for name, value in run.objective.named_parameters()}
        train(run, settings, characters.train, characters.validation)
        moved.append({n: v.detach() - before[n] for n, v in run.objective.named_parameters()})
    for name in moved[0]:
        factor = 0.25 if name.startswith("encoder.embed") else 1.0
        torch.testing.assert_close(moved[1][name], factor * moved[0][name], rtol=1e-4, atol=1e-7)


def test_weight_decay_spares_norms_and_biases(characters: Characters) -> None:
    run = begin(recipe(weight_decay=0.3), characters)
    decays = {
        id(p): group["weight_decay"]
        for group in run.optimizer.param_groups
        for p in group["params"]
    }
    named = dict(run.objective.named_parameters())
    assert len(decays) == len(named)
    for name, parameter in named.items():
        plain = name.endswith("bias") or "norm" in name or "stem.1" in name or "shortcut.1" in name
        assert decays[id(parameter)] == (0.0 if plain else 0.3), name


def test_muon_moves_kernels_by_orthogonal_matrices_and_the_rest_as_nadamw() -> None:
    torch.manual_seed(0)
    net = torch.nn.ModuleDict(
        {
            "kernel": torch.nn.Conv2d(3, 8, 3),
            "stem": torch.nn.Conv2d(1, 8, 3),
            "head": torch.nn.Linear(6, 5),
        }
    )
    optimizer = optimizer_of(net, recipe(optimizer="muon", weight_decay=0.0, learning_rate=1e-3))
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    for name, value in net.named_parameters():
        move, gradient = (value.detach() - before[name]).numpy(), value.grad.numpy()
        if name != "kernel.weight":
            # A first step goes as far as the rate, and Nesterov's by (0.9 · 0.1 + 0.1) / 0.1.
            np.testing.assert_allclose(move, -1.9e-3 * np.sign(gradient), rtol=1e-2)
            continue
        flat, (u, _, v) = (
            move.reshape(8, 27),
            np.linalg.svd(gradient.reshape(8, 27), full_matrices=False),
        )
        # On the gradient's own axes; five steps bring each singular value near 1, none quite to it.
        strength = u.T @ flat @ v.T / (-1e-3 * 0.2 * math.sqrt(27))
        assert np.abs(strength - np.diag(np.diag(strength))).max() < 0.05
        assert np.diag(strength).min() > 0.6 and np.diag(strength).max() < 1.3


def test_an_unknown_optimizer_is_refused(characters: Characters) -> None:
    with pytest.raises(InputError, match=r"lion.*adamw.*muon.*sgd"):
        begin(recipe(optimizer="lion"), characters)


def test_a_loss_that_is_no_number_ends_the_run(characters: Characters, tmp_path: Path) -> None:
    settings, state = recipe(), tmp_path / "state"
    run = begin(settings, characters)
    torch.nn.init.constant_(run.objective.rows, math.nan)
    with pytest.raises(InputError, match="nan at step 12"):
        train(run, settings, characters.train, characters.validation, state=state)
    assert not state.exists()


# What a step is made of


def test_turned_classes_are_turned_pictures() -> None:
    ink = torch.randint(256, (3, 2, 8, 8), dtype=torch.uint8)
    data = TrainingData(ink, torch.tensor([0, 2, 2]))
    still = recipe(augmentation=Augmentation(0, 0, 0, 0, 0), rotations=True)
    classes, numbers = torch.arange(12), torch.tensor([0, 1] * 6)
    views = data.views(classes, numbers, still, torch.Generator().manual_seed(0))
    for view, c, number in zip(views, classes.tolist(), numbers.tolist(), strict=True):
        expected = torch.rot90(ink[c % 3, number].float() / 255, c // 3)
        torch.testing.assert_close(view[0], expected, rtol=0, atol=1e-5)
    groups = data.groups_of_copies(4)
    # A turned alphabet is an alphabet of its own.
    assert len(groups) == 12
    assert len(groups.unique()) == 8
    for i, j in itertools.combinations(range(12), 2):
        together = i // 3 == j // 3 and data.groups[i % 3] == data.groups[j % 3]
        assert (groups[i] == groups[j]).item() == together


def test_learned_lengths_need_a_last_layer(characters: Characters) -> None:
    with pytest.raises(InputError, match="last linear layer"):
        begin_drawings(recipe("prototypical"), TINY.unprojected(), characters.train)


@pytest.mark.parametrize(("rotations", "turns"), [(True, 4), (False, 1)])
def test_mirrored_classes_follow_the_turned_ones(rotations: bool, turns: int) -> None:
    ink = torch.randint(256, (3, 2, 8, 8), dtype=torch.uint8)
    data = TrainingData(ink, torch.tensor([0, 2, 2]))
    still = recipe(augmentation=Augmentation(0, 0, 0, 0, 0), mirrored=True, rotations=rotations)
    assert still.copies == 2 * turns
    classes, numbers = torch.arange(6 * turns), torch.tensor([0, 1] * (3 * turns))
    views = data.views(classes, numbers, still, torch.Generator().manual_seed(0))
    for view, c, number in zip(views, classes.tolist(), numbers.tolist(), strict=True):
        expected = ink[c % 3, number].float() / 255
        expected = torch.fliplr(expected) if c >= 3 * turns else expected
        expected = torch.rot90(expected, c // 3 % turns)
        torch.testing.assert_close(view[0], expected, rtol=0, atol=1e-5)


def test_a_run_may_make_the_feature_map_its_embedding(characters: Characters) -> None:
    initial = ConvNet(TINY).state_dict()
    settings = recipe(episodic=True, mirrored=True, feature_map=True, rotations=True)
    run = begin(settings, characters, initial)
    assert settings.copies == 8
    encoder = run.objective.encoder
    assert encoder.config == TINY.unprojected()
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, initial[name])
    before = fixed_loss(run, characters.train)
    train(run, settings, characters.train, characters.validation)
    assert fixed_loss(run, characters.train) < 0.95 * before
    assert kept_weights(run).keys() == {f"encoder.{k}" for k in initial if "embed" not in k}


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_the_prototype_loss_is_a_cosine_softmax_with_a_margin(characters, margin: float) -> None:
    settings = recipe(margin=margin, scale=7.0, rotations=True)
    objective = begin(settings, characters).objective.eval()
    data = characters.train
    ours = objective.loss(data, step_generator(0, 0, CPU)).item()
    generator = step_generator(0, 0, CPU)
    labels, numbers = draw_images(4 * len(data.ink), DRAWERS, settings.batch, generator)
    x = objective.encoder(data.views(labels, numbers, settings, generator))
    expected = 0.0
    for row, label in zip(x.tolist(), labels.tolist(), strict=True):
        terms = []
        for c, weights in enumerate(objective.rows.tolist()):
            cosine = np.dot(row, weights) / np.linalg.norm(row) / np.linalg.norm(weights)
            terms.append(math.exp(7.0 * (cosine - margin * (c == label))))
        expected -= math.log(terms[label] / sum(terms)) / len(labels)
    assert ours == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_what_a_checkpoint_keeps(characters: Characters, method: str) -> None:
    run = trained(recipe(method, steps=1), characters)
    kept = kept_weights(run)
    encoder = {f"encoder.{name}" for name in ConvNet(TINY).state_dict()}
    head = {"head.linear.weight", "head.linear.bias"} if method == "siamese" else set()
    assert set(kept) == encoder | head
    assert all(torch.equal(kept[name], run.best[name]) for name in kept)


@pytest.mark.parametrize(
    ("rotations", "mirrored", "copies"),
    [(False, False, 1), (True, False, 4), (True, True, 8), (False, True, 2)],
)
def test_a_warm_start_begins_at_the_prototypes(
    characters: Characters, rotations: bool, mirrored: bool, copies: int
) -> None:
    torch.manual_seed(3)
    network, data = ConvNet(TINY).eval(), characters.train
    run = begin(recipe(rotations=rotations, mirrored=mirrored), characters, network.state_dict())
    assert len(run.objective.rows) == copies * len(data.ink)
    quarters = 4 if rotations else 1
    for row in (0, 17, *(30 * turn + 11 for turn in range(1, copies))):
        turns, c = divmod(row, len(data.ink))
        drawn = [drawing.float() / 255 for drawing in data.ink[c, :5]]
        drawn = [torch.fliplr(one) if turns >= quarters else one for one in drawn]
        drawn = [torch.rot90(one, turns % quarters) for one in drawn]
        with torch.no_grad():
            mean = sum(network(drawing[None, None])[0] for drawing in drawn) / 5
        torch.testing.assert_close(run.objective.rows[row].detach(), mean, rtol=0, atol=1e-5)
    for name, value in run.objective.encoder.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])
    assert run.objective.rows.requires_grad


# Validation


def test_validation_characters_are_not_trained_on(tree: Path, characters: Characters) -> None:
    data = load_omniglot("background", tree)
    (name,) = characters.facts["validation_alphabets"]
    held_out = [c for c, own in enumerate(data.alphabets) if data.alphabet_names[own] == name]
    expected = [c for c in range(len(data.classes)) if c not in held_out]
    for part, classes in ((characters.train, expected), (characters.validation.data, held_out)):
        assert part.ink.shape == (len(classes), DRAWERS, 16, 16)
        for ink, c in zip(part.ink, classes, strict=True):
            picture = np.repeat(data.images[c, 3][..., None], 3, 2)
            np.testing.assert_array_equal(ink[3].numpy(), find_ink(picture, 16))
    assert characters.facts["training_characters"] == 30
    assert characters.facts["validation_characters"] == 10


def test_holding_out_every_alphabet_is_refused(tree: Path) -> None:
    with pytest.raises(InputError, match=r"4 alphabets.*4 in the data"):
        load_characters(tree, 16, 4, CPU)


@pytest.mark.parametrize("method", ["prototype", "siamese"])
def test_validation_accuracy_equals_a_plain_loop(characters: Characters, method: str) -> None:
    objective = begin(recipe(method), characters).objective.eval()
    held_out = validation_set(characters.validation.data, episodes=15)
    x = []
    with torch.no_grad():
        for picture in held_out.data.ink.flatten(0, 1):
            x.append(objective.encoder(picture[None, None].float() / 255)[0].numpy())
    torch.testing.assert_close(embed_all(objective, held_out.data).numpy(), np.stack(x))
    figures = validate(objective, held_out)
    for name, episodes in held_out.episodes.items():
        right = []
        for episode in episodes:
            for query, label in zip(episode.queries, episode.query_labels, strict=True):
                # Nearest in angle, or in L1 distance, which an untrained head ranks by.
                if method == "siamese":
                    costs = [np.abs(x[query] - x[s]).sum() for s in episode.support]
                else:
                    costs = [-np.dot(x[query], x[s]) for s in episode.support]
                right.append(episode.support_labels[int(np.argmin(costs))] == label)
        assert figures[name] == pytest.approx(np.mean(right))
    assert figures["score"] == pytest.approx((figures["random"] + figures["within"]) / 2)
    again = validation_set(characters.validation.data, episodes=15)
    assert validate(objective, again) == figures


def test_the_temperature_is_the_likeliest_of_the_grid(characters, pretrained) -> None:
    objective = pretrained[0].objective
    chosen = choose_temperature(objective, characters.validation)
    x = embed_all(objective, characters.validation.data).double().numpy()
    labels = np.arange(CHARACTERS).repeat(DRAWERS)
    losses = {}
    for temperature in TEMPERATURES:
        losses[temperature] = 0.0
        for seed, shots in ((3, 1), (4, 5)):
            for episode in draw_episodes(labels, Protocol(5, shots, 1), 30, seed):
                means = [x[episode.support[episode.support_labels == c]].mean(0) for c in range(5)]
                for query, label in zip(episode.queries, episode.query_labels, strict=True):
                    cosines = [x[query] @ mean / np.linalg.norm(mean) for mean in means]
                    terms = np.exp(temperature * np.array(cosines))
                    losses[temperature] -= math.log(terms[label] / terms.sum())
    assert chosen == min(losses, key=losses.get)
    assert TEMPERATURES[0] < chosen < TEMPERATURES[-1]


def test_ink_is_found_once_and_then_kept(tree: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    data = load_omniglot("background", tree).select(np.array([3, 1]))
    ink = omniglot_ink(data, 20)
    assert ink.shape == (2, DRAWERS, 20, 20)
    for c, i in ((0, 0), (1, 5)):
        picture = np.repeat(data.images[c, i][..., None], 3, 2)
        np.testing.assert_array_equal(ink[c, i], find_ink(picture, 20))

    def fail(*_: object) -> None:
        raise AssertionError("looked for again")

    monkeypatch.setattr(drawings, "find_ink", fail)
    np.testing.assert_array_equal(omniglot_ink(data, 20), ink)
    for other in (lambda: omniglot_ink(data, 21), lambda: omniglot_ink(inverted(data), 20)):
        with pytest.raises(AssertionError, match="looked for again"):
            other()


def inverted(data: Omniglot) -> Omniglot:
    return Omniglot(255 - data.images, data.classes, data.alphabets, data.alphabet_names)


# From files to a checkpoint


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny architecture, to start every run from."""
    path = tmp_path_factory.mktemp("initial") / "tiny.safetensors"
    torch.manual_seed(5)
    card = {"architecture": TINY.as_dict(), "data": {"name": "nothing"}, "licence": "MIT"}
    save_weights(path, with_prefix("encoder", ConvNet(TINY).state_dict()), card)
    return path


def make(output: Path, tree: Path, initial: Path, method: str = "siamese", **options) -> Run:
    settings = recipe(method, **options.pop("changes", {}))
    return train_checkpoint(settings, Session(output, folder=tree, initial=initial, **options))


def test_a_checkpoint_and_its_card(tree: Path, initial: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "mine.safetensors"
    run = make(output, tree, initial)
    card = load_card(output)
    assert card["name"] == "mine"
    assert card["method"] == "siamese"
    assert card["architecture"] == json.loads(json.dumps(TINY.as_dict()))
    assert card["parameters"] == sum(p.numel() for p in ConvNet(TINY).parameters())
    assert card["licence"] == "MIT"
    assert card["data"]["training_characters"] == 30
    assert card["data"]["validation_characters"] == 10
    assert card["data"]["licence"] == "MIT"
    assert "Omniglot" in card["data"]["name"]
    assert card["recipe"] == json.loads(json.dumps(recipe("siamese").as_dict()))
    assert card["recipe"]["seed"] == 0
    assert card["warm_start"] == {"checkpoint": "tiny.safetensors", "sha256": sha256(initial)}
    assert card["steps_done"] == 12
    assert card["best_step"] == run.best_step
    assert "not trained on" in card["validation"]["protocol"]
    for name in ("random", "within", "score"):
        assert card["validation"][name] == run.validation[name]
        assert 0 < card["validation"][name] <= 1
    assert "temperature" not in card  # siamese learned its logits
    assert {path.name for path in output.parent.iterdir()} == {
        "mine.safetensors",
        "mine.json",
        "mine.state.safetensors",
    }
    # The weights are the best ones, and the encoder made of them is the network trained.
    encoder = DrawingsEncoder("mine", output)
    pictures = load_omniglot("background", tree).pool().pictures[:3]
    network = ConvNet(TINY).eval()
    kept = half_precision(run.best)  # as the file has them
    network.load_state_dict(without_prefix("encoder", kept))
    ink = torch.from_numpy(np.stack([find_ink(p.pixels, 16) for p in pictures]))
    with torch.no_grad():
        expected = network(ink[:, None].float() / 255).numpy()
    expected = expected + encoder.embed_views(pictures, AVERAGED).sum(1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.embed(pictures), expected, atol=1e-5)
    head = encoder.pair_head().linear.weight
    assert torch.equal(head, kept["head.linear.weight"].float())


def test_training_lowers_to_the_same_file_when_interrupted(tree, initial, tmp_path) -> None:
    make(tmp_path / "whole.safetensors", tree, initial)
    parts = tmp_path / "parts.safetensors"
    run = make(parts, tree, initial, should_stop=after(6))
    assert run.step == 6
    assert load_card(parts)["steps_done"] == 6
    assert parts.exists()  # a run that was stopped can be used
    make(parts, tree, initial, resume=True)
    assert load_card(parts)["steps_done"] == 12
    assert sha256(parts) == sha256(tmp_path / "whole.safetensors")


def test_resuming_with_another_warm_start_is_refused(tree, initial, tmp_path) -> None:
    output, other = tmp_path / "a.safetensors", tmp_path / "other.safetensors"
    make(output, tree, initial, should_stop=after(2))
    save_weights(other, with_prefix("encoder", ConvNet(TINY).state_dict()), load_card(initial))
    # It would go on from the saved weights, and the card would name a start they never had.
    with pytest.raises(InputError, match="with another --init;"):
        make(output, tree, other, resume=True)


class Clock:
    """A clock on which every look takes a hundredth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.01
        return self.now


def test_minutes_plan_the_steps(tree, initial, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(timing, "time", Clock())
    output = tmp_path / "a.safetensors"
    # A hundredth of a second a step: 0.0021 minutes are 12.6 of them.
    run = make(output, tree, initial, minutes=0.0021, changes={"steps": 4000})
    assert run.step == load_card(output)["recipe"]["steps"] == 12
    # The trial that measured it has no part in the weights.
    make(tmp_path / "b.safetensors", tree, initial)
    assert sha256(output) == sha256(tmp_path / "b.safetensors")
    # Less than a step's time is still one step.
    assert make(output, tree, initial, minutes=1e-5, overwrite=True).step == 1


def test_a_resumed_run_keeps_to_its_plan(tree, initial, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(timing, "time", Clock())
    output = tmp_path / "a.safetensors"
    make(output, tree, initial, minutes=0.0021, should_stop=after(4))
    monkeypatch.setattr(drawings, "TIMED_STEPS", 0)  # nothing is measured again
    run = make(output, tree, initial, minutes=0.0021, resume=True)
    assert run.step == 12
    make(tmp_path / "b.safetensors", tree, initial)
    assert sha256(output) == sha256(tmp_path / "b.safetensors")


def test_resuming_nothing_is_told(tree: Path, initial: Path, tmp_path: Path) -> None:
    for minutes in (None, 1.0):
        with pytest.raises(InputError, match="no run to resume"):
            make(tmp_path / "a.safetensors", tree, initial, resume=True, minutes=minutes)
    assert not list(tmp_path.iterdir())


def test_an_output_of_another_kind_is_told(tree: Path, initial: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.pt"):
        make(tmp_path / "a.pt", tree, initial)


@pytest.mark.parametrize("what", ["missing", "no weights", "other weights", "other card"])
def test_a_start_that_does_not_fit_is_told(tree, initial, tmp_path, what: str) -> None:
    path = tmp_path / "start.safetensors"
    if what != "missing":
        path.write_bytes(initial.read_bytes())
        card_path(path).write_bytes(card_path(initial).read_bytes())
    if what == "no weights":
        path.write_bytes(b"garbage")
    elif what == "other weights":
        save_file({"something.else": torch.zeros(2)}, path)
    elif what == "other card":
        card_path(path).write_text(json.dumps({"architecture": {"depth": 3}}))
    with pytest.raises(InputError):
        make(tmp_path / "a.safetensors", tree, path)
    assert not (tmp_path / "a.safetensors").exists()


def test_a_failed_write_leaves_no_half_checkpoint(tree, initial, tmp_path, monkeypatch) -> None:
    output = tmp_path / "a.safetensors"
    make(output, tree, initial, changes={"steps": 1})
    before = output.read_bytes()
    real = Path.replace

    def full(path: Path, target: Path) -> Path:
        if target == output:
            raise OSError("No space left on device")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        make(output, tree, initial, overwrite=True, changes={"steps": 2})
    assert output.read_bytes() == before
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.safetensors", "a.json", "a.state.safetensors"}


def test_the_state_holds_weights_and_facts_in_one_file(tree, initial, tmp_path) -> None:
    output = tmp_path / "a.safetensors"
    run = make(output, tree, initial)
    tensors, facts = load_state(state_path(output))
    assert facts["recipe"] == json.loads(json.dumps(recipe("siamese").as_dict()))
    assert (facts["step"], facts["best_step"]) == (12, run.best_step)
    assert set(load_file(state_path(output))) == set(tensors)


@pytest.mark.parametrize("recipes", [RECIPES, WARM_RECIPES])
def test_every_objective_has_its_recipes(recipes: dict[str, Recipe]) -> None:
    assert set(recipes) == set(OBJECTIVES)
    for method, settings in recipes.items():
        assert settings.method == method
        # Batches for pairs, triplets and episodes hold whole classes.
        assert settings.batch % settings.images_per_class == 0


CHECKPOINTS = Path(__file__).parents[1] / "assets" / "checkpoints"


@pytest.mark.parametrize("method", sorted(OBJECTIVES))
def test_shipped_cards_have_a_temperature_where_the_method_uses_one(method: str) -> None:
    file = {"siamese-contrastive": "contrastive"}.get(method, method)
    card = load_card(CHECKPOINTS / f"drawings-{file}.safetensors")
    assert card["method"] == method
    learned = method in ("siamese", "relation")  # their logits, so nothing scales them
    assert (card.get("temperature", 0) > 0) is not learned
    assert OBJECTIVES[method].has_temperature is not learned
