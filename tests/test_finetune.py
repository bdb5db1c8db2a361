"""Fine-tuning many episodes at once against stochastic gradient descent on each by itself."""

from __future__ import annotations

import math
from operator import mul

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_methods import FakeEncoder, batch_of, cloud
from torch import Tensor

from fewshot.encoders import get_encoder
from fewshot.losses import marginal_entropy, prototype_loss
from fewshot.methods import METHODS, Settings, finetune
from fewshot.methods.adaptation import Plan, trying
from fewshot.methods.finetune import FineTune, fine_tune
from fewshot.methods.prior import drawn_to_known
from fewshot.methods.prototype import Prototype
from fewshot.methods.span import into_span, span_pays
from fewshot.metrics import normalise, softmax
from fewshot.types import Support

EPISODES, WAYS, DIM = 3, 4, 32
SETTINGS = {"steps": 60, "learning_rate": 0.05, "temperature": 12.0, "entropy_weight": 0.4}
TRANSDUCTIVE = pytest.mark.parametrize("transductive", [False, True])


@pytest.fixture(params=[False, True], ids=["as they are", "in their span"])
def in_span(request, monkeypatch) -> None:
    """The steps are taken both ways, whichever is faster."""
    monkeypatch.setattr(finetune, "span_pays", lambda *_: request.param)


def unit(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def tasks(transductive: bool) -> dict:
    """Unlike episodes, each with labels of its own, and rows that no example resembles."""
    return {
        "x": unit(EPISODES, 9, DIM, seed=0),
        "labels": torch.tensor(
            [[0, 1, 2, 3, 0, 1, 2, 3, 0], [3, 2, 1, 0, 3, 3, 3, 2, 1], [0, 0, 1, 2, 2, 2, 2, 2, 3]]
        ),
        "start": 1.7 * unit(EPISODES, WAYS, DIM, seed=1),
        "unlabelled": unit(EPISODES, 6, DIM, seed=2) if transductive else None,
    }


def in_single_precision(task: dict) -> dict:
    return {
        name: value.float() if value is not None and value.is_floating_point() else value
        for name, value in task.items()
    }


def one_by_one(x, labels, start, unlabelled, **settings) -> tuple[Tensor, Tensor]:
    """Automatic differentiation of the losses as defined, an episode at a time."""
    learned = []
    for e in range(len(x)):
        w = start[e].clone().requires_grad_()
        b = torch.zeros_like(w[:, 0]).requires_grad_()
        parameters = [w, b] if unlabelled is None else [w]
        optimizer = torch.optim.SGD(parameters, lr=settings["learning_rate"], momentum=0.9)
        for _ in range(settings["steps"]):

            def logits(z, w=w, b=b):
                return settings["temperature"] * F.cosine_similarity(z[:, None], w[None], 2) + b

            weight = settings["entropy_weight"]
            asked = None if unlabelled is None else logits(unlabelled[e])
            loss = prototype_loss(logits(x[e]), labels[e], weight, asked)
            if asked is not None:
                loss = loss - weight * marginal_entropy(asked[None])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        learned.append((w.detach(), b.detach()))
    return torch.stack([w for w, _ in learned]), torch.stack([b for _, b in learned])


def test_prototypes_are_drawn_to_the_known_classes_nearby_by_hand():
    rows, known = unit(2, WAYS, DIM, seed=5), unit(7, DIM, seed=6)
    drawn = drawn_to_known(rows, known, 0.4, 9.0)
    for task, ours in zip(rows.tolist(), drawn.tolist(), strict=True):
        for row, found in zip(task, ours, strict=True):
            near = [math.exp(9 * sum(map(mul, row, one))) for one in known.tolist()]
            mean = [sum(map(mul, near, column)) / sum(near) for column in known.T.tolist()]
            length = math.hypot(*mean)
            moved = [a + 0.4 * b / length for a, b in zip(row, mean, strict=True)]
            assert found == pytest.approx([a / math.hypot(*moved) for a in moved])
    torch.testing.assert_close(drawn_to_known(rows, known, 0.0, 9.0), rows)


def test_a_prior_moves_where_learning_begins_and_no_prior_leaves_it():
    x = cloud(np.arange(4), seed=1)
    support, queries = Support(tuple("abcd"), np.arange(4), x), cloud(np.arange(4), seed=2)
    encoder = FakeEncoder()
    encoder.known = cloud(np.arange(4), seed=3)

    def answers(prior: float, **settings) -> np.ndarray:
        with trying("finetune", Plan(1, 1e-12, prior=prior)):
            fitted = FineTune(encoder, Settings(**settings)).fit(support)
            together = fitted.predict_batch(batch_of([support]), torch.from_numpy(queries)[None])
            alone = fitted.predict(queries).probabilities
        np.testing.assert_allclose(together[0].numpy(), alone, atol=1e-5)
        return alone

    start = Prototype(encoder).fit(support).predict(queries).probabilities
    np.testing.assert_allclose(answers(0.0), start, atol=1e-5)
    np.testing.assert_allclose(answers(0.5, steps=0), start, atol=1e-5)
    moved = drawn_to_known(*map(torch.from_numpy, (normalise(x), encoder.known)), 0.5, 12.0)
    expected = softmax(12.0 * normalise(queries) @ moved.numpy().T)
    np.testing.assert_allclose(answers(0.5), expected, atol=1e-5)
    assert np.abs(expected - start).max() > 0.01


@TRANSDUCTIVE
def test_each_episode_gets_what_descent_on_it_alone_gives(in_span, transductive):
    task = tasks(transductive)
    expected = one_by_one(**task, **SETTINGS)
    assert (expected[0] - task["start"]).norm(dim=2).min() > 0.2  # every row has moved
    assert (expected[1].abs().max() > 0.1) != transductive
    for ours, theirs in zip(fine_tune(**task, **SETTINGS), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)
    single = fine_tune(**in_single_precision(task), **SETTINGS)
    for ours, theirs in zip(single, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-5)


def test_examples_that_contradict_each_other_at_a_high_temperature(in_span):
    """Twice the same pictures under other labels: combinations of them are not unique."""
    task = tasks(transductive=False)
    task["x"][:, 4:8] = task["x"][:, :4]
    task["labels"][:, 4:8] = task["labels"][:, :4].roll(1, 1)
    task["start"] = task["x"][:, :WAYS]
    settings = SETTINGS | {"steps": 30, "temperature": 300.0}
    for ours, theirs in zip(
        fine_tune(**task, **settings), one_by_one(**task, **settings), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    for learned in fine_tune(**in_single_precision(task), **(settings | {"steps": 500})):
        assert torch.isfinite(learned).all()


def test_a_class_of_opposite_pictures_stays_finite(in_span):
    task = in_single_precision(tasks(transductive=False))
    task["start"][:, 0] = 0  # the mean of a picture and its opposite has no direction
    for learned in fine_tune(**task, **SETTINGS):
        assert torch.isfinite(learned).all()


@TRANSDUCTIVE
def test_no_steps_leave_the_rows_as_they_are(transductive):
    task = in_single_precision(tasks(transductive))
    weights, biases = fine_tune(**task, **(SETTINGS | {"steps": 0}))
    assert torch.equal(weights, task["start"]) and not biases.any()


def test_arguments_stay_as_they_are():
    task = tasks(transductive=True)
    fine_tune(**task, **SETTINGS)
    for name, value in tasks(transductive=True).items():
        assert torch.equal(task[name], value)


def test_the_span_serves_few_examples_of_many_numbers_over_many_steps():
    cpu = torch.device("cpu")
    assert span_pays(25, 5, 512, 50, cpu)
    assert not span_pays(25, 5, 512, 1, cpu)
    assert not span_pays(25, 5, 512, 0, cpu)
    assert not span_pays(300, 5, 512, 50, cpu)
    assert not span_pays(60, 5, 64, 500, cpu)  # more vectors than dimensions
    assert not span_pays(25, 5, 512, 50, torch.device("cuda"))


def test_in_their_span_vectors_keep_their_inner_products():
    x = unit(2, 6, 16, seed=0)
    x[:, 3], x[:, 4], x[1, 5] = x[:, 0], x[:, 1] + x[:, 2], 0
    basis, coordinates = into_span(x)
    assert basis.shape == (2, 16, 6) and coordinates.shape == (2, 6, 6)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(6).double().expand(2, 6, 6))
    torch.testing.assert_close(coordinates @ basis.mT, x)
    torch.testing.assert_close(coordinates @ coordinates.mT, x @ x.mT)


def test_steps_and_regularisation_are_the_plan_s_unless_a_person_asks(monkeypatch) -> None:
    asked = []

    def noted(x, labels, start, **options):
        asked.append((options["steps"], options["entropy_weight"]))
        return start, start.new_zeros(start.shape[:2])

    monkeypatch.setattr("fewshot.methods.finetune.fine_tune", noted)
    x = np.eye(4, dtype=np.float32)
    support = Support(("a", "b"), np.array([0, 0, 1, 1]), x, x[:, None])
    with trying("finetune", Plan(25, 0.1, entropy_factor=3.0)):
        for settings in (Settings(), Settings(steps=7, entropy_weight=0.5), Settings(steps=0)):
            METHODS["finetune"](get_encoder("pixels"), settings).fit(support)
    assert asked == [(25, pytest.approx(0.3)), (7, pytest.approx(1.5))]  # none at no steps
