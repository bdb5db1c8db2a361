"""One contract for every method, then what each promises beyond it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.encoders.base import Encoder
from fewshot.encoders.maml_network import InnerLoop, MamlNetwork
from fewshot.encoders.pair_head import PairHead
from fewshot.encoders.relation_head import RelationHead
from fewshot.methods import METHODS, Settings
from fewshot.methods.adaptation import Plan, plan_for, trying
from fewshot.methods.batch import SupportBatch
from fewshot.metrics import normalise
from fewshot.types import InputError, Support

DIM, WAYS, SHOTS, VIEWS = 24, 4, 3, 4


class TinyBody(torch.nn.Module):
    """What MAML adapts here."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(DIM, 16)

    def forward(self, x):
        return torch.nn.functional.normalize(self.linear(x), dim=1)


class FakeEncoder(Encoder):
    """Embeds texts to fixed random directions; pictures are made up by the tests."""

    name, family, dim, digest, source, licence = "fake", "clip", DIM, "fake-1", "test", "none"
    temperature, text_temperature, reads_text = 12.0, 9.0, True

    def embed(self, pictures):
        raise AssertionError("methods see embeddings only")

    embed_views = embed

    def embed_texts(self, texts):
        seeds = [sum(map(ord, text)) for text in texts]
        return normalise(np.stack([np.random.default_rng(s).normal(size=DIM) for s in seeds]))

    def pair_head(self) -> PairHead:
        head = PairHead(DIM)
        with torch.no_grad():
            head.linear.weight += 0.1 * torch.randn(
                1, DIM, generator=torch.Generator().manual_seed(3)
            )
        return head.eval()

    def maml_network(self) -> MamlNetwork:
        with torch.random.fork_rng():
            torch.manual_seed(6)
            # Rates that suit a body that was never trained.
            inner = InnerLoop(steps=5, body_rate=0.02, row_rate=0.3, scale=5.0)
            return MamlNetwork(TinyBody(), 16, inner).eval()

    def relation_head(self) -> RelationHead:
        with torch.random.fork_rng():
            torch.manual_seed(4)
            head = RelationHead(DIM, hidden=16)
            torch.nn.init.normal_(head.out.weight, std=0.3)
        return head.eval()


class TrainedEncoder(FakeEncoder):
    """Of a family whose heads were trained, and so learn nothing from the support set."""

    family = "drawings"


ENCODER, TRAINED = FakeEncoder(), TrainedEncoder()
CLASSES = ("ostrich", "Ünïcødé", "класс", "d")
ALL = pytest.mark.parametrize("name", sorted(METHODS))
OF_PICTURES = pytest.mark.parametrize("name", sorted(set(METHODS) - {"clip"}))


def cloud(labels: np.ndarray, seed: int, spread: float = 0.5) -> np.ndarray:
    """Unit vectors scattered around a direction per class."""
    centres = np.random.default_rng(0).normal(size=(WAYS, DIM))
    noise = spread * np.random.default_rng(seed).normal(size=(len(labels), DIM))
    return normalise(centres[labels] + noise).astype(np.float32)


def support_of(labels: np.ndarray, seed: int = 1) -> Support:
    x = cloud(labels, seed)
    rng = np.random.default_rng(seed + 100)
    views = normalise(x[:, None] + 0.2 * rng.normal(size=(len(x), VIEWS, DIM))).astype(np.float32)
    return Support(CLASSES, labels, x, views)


def taken(support: Support, order: np.ndarray) -> Support:
    """The same pictures in another order."""
    return replace(
        support,
        labels=support.labels[order],
        embeddings=support.embeddings[order],
        views=support.views[order],
    )


def fitted(name: str, support: Support, **settings):
    return METHODS[name](ENCODER, Settings(**settings)).fit(support)


LABELS = np.arange(WAYS).repeat(SHOTS)
QUERY_LABELS = np.arange(WAYS).repeat(5)
QUERIES = cloud(QUERY_LABELS, seed=9)


@ALL
@pytest.mark.parametrize(
    "labels",
    [LABELS, np.arange(WAYS), np.array([0, 0, 0, 0, 0, 1, 2, 2, 3])],
    ids=["balanced", "one shot", "unbalanced"],
)
def test_shapes_and_probabilities(name, labels):
    prediction = fitted(name, support_of(labels)).predict(QUERIES)
    assert prediction.classes == CLASSES
    assert prediction.probabilities.shape == prediction.scores.shape == (20, WAYS)
    assert prediction.probabilities.dtype == np.float32
    np.testing.assert_allclose(prediction.probabilities.sum(1), 1, atol=1e-5)
    assert (prediction.probabilities >= 0).all() and np.isfinite(prediction.scores).all()
    if METHODS[name].reads_pictures:
        assert prediction.evidence.shape == (20, len(labels))
    else:
        assert prediction.evidence is None


@OF_PICTURES
def test_learns_the_classes_it_is_shown(name):
    prediction = fitted(name, support_of(LABELS)).predict(QUERIES)
    right = np.mean(prediction.probabilities.argmax(1) == QUERY_LABELS)
    assert right >= 0.8  # chance is 0.25; the clouds hardly overlap
    shifted = support_of(LABELS)
    shifted = replace(shifted, labels=(LABELS + 1) % WAYS)
    moved = fitted(name, shifted).predict(QUERIES).probabilities.argmax(1)
    assert np.mean(moved == (QUERY_LABELS + 1) % WAYS) >= 0.8


@ALL
def test_one_query_gets_what_a_batch_gets(name):
    method = fitted(name, support_of(LABELS))
    batch = method.predict(QUERIES).probabilities
    alone = np.concatenate([method.predict(QUERIES[i : i + 1]).probabilities for i in range(20)])
    np.testing.assert_allclose(alone, batch, atol=1e-5)


@ALL
def test_a_second_prediction_is_not_touched_by_the_first(name):
    method = fitted(name, support_of(LABELS))
    expected = fitted(name, support_of(LABELS)).predict(QUERIES[:3]).probabilities
    method.predict(QUERIES[::-1])
    method.predict(QUERIES[5:6])
    np.testing.assert_array_equal(method.predict(QUERIES[:3]).probabilities, expected)


@ALL
def test_order_of_the_supports_does_not_matter(name):
    support = support_of(LABELS)
    order = np.random.default_rng(4).permutation(len(LABELS))
    one = fitted(name, support).predict(QUERIES)
    other = fitted(name, taken(support, order)).predict(QUERIES)
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-5)
    if one.evidence is not None:
        np.testing.assert_allclose(other.evidence, one.evidence[:, order], atol=1e-5)


@ALL
def test_order_of_the_classes_does_not_matter(name):
    support = support_of(LABELS)
    order = np.array([2, 0, 3, 1])  # new position -> old class
    renamed = replace(
        support, classes=tuple(CLASSES[c] for c in order), labels=np.argsort(order)[LABELS]
    )
    one = fitted(name, support).predict(QUERIES).probabilities
    other = fitted(name, renamed).predict(QUERIES).probabilities
    np.testing.assert_allclose(other, one[:, order], atol=1e-5)


@ALL
def test_nothing_is_left_to_chance(name):
    runs = [fitted(name, support_of(LABELS)).predict(QUERIES) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].probabilities, runs[1].probabilities)


@ALL
def test_duplicate_pictures(name):
    labels = np.array([0, 0, 0, 1, 2, 3])
    support = support_of(labels)
    twice = taken(support, np.array([0, 0, 0, 3, 4, 5]))
    prediction = fitted(name, twice).predict(support.embeddings)
    np.testing.assert_allclose(prediction.probabilities.sum(1), 1, atol=1e-5)
    if METHODS[name].reads_pictures:
        assert prediction.probabilities[0].argmax() == 0


@ALL
def test_only_transductive_methods_look_at_queries(name):
    method = METHODS[name](ENCODER, Settings())
    assert method.transductive == (name == "tca")  # finetune is where its settings say so
    plain = METHODS[name](ENCODER, Settings()).fit(support_of(LABELS)).predict(QUERIES)
    shown = method.fit(support_of(LABELS), cloud(QUERY_LABELS, seed=77)).predict(QUERIES)
    same = np.array_equal(shown.probabilities, plain.probabilities)
    assert same == (not method.transductive)


@ALL
def test_fit_and_predict_leave_their_arguments_alone(name):
    support, queries = support_of(LABELS), QUERIES.copy()
    before = [support.embeddings.copy(), support.views.copy(), support.labels.copy()]
    fitted(name, support).predict(queries)
    for array, kept in zip(
        (support.embeddings, support.views, support.labels), before, strict=True
    ):
        np.testing.assert_array_equal(array, kept)
    np.testing.assert_array_equal(queries, QUERIES)


def softmax_by_hand(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def test_prototype_by_hand():
    labels = np.array([0, 0, 0, 1, 2, 2, 3])
    support = support_of(labels)
    prediction = fitted("prototype", support).predict(QUERIES)
    for query, row in zip(QUERIES, prediction.probabilities, strict=True):
        cosines = []
        for c in range(WAYS):
            mean = sum(x / np.linalg.norm(x) for x in support.embeddings[labels == c])
            cosines.append(query @ mean / np.linalg.norm(query) / np.linalg.norm(mean))
        np.testing.assert_allclose(row, softmax_by_hand(12.0 * np.array(cosines)), atol=1e-5)


def test_siamese_by_hand():
    labels = np.array([0, 0, 0, 1, 2, 2, 3])
    support = support_of(labels)
    prediction = METHODS["siamese"](TRAINED).fit(support).predict(QUERIES)
    factor = plan_for("drawings", "siamese", support).temperature_factor
    linear = ENCODER.pair_head().linear
    weight, bias = linear.weight.detach().numpy()[0], linear.bias.item()
    for q, query in enumerate(QUERIES):
        logits = np.array([weight @ np.abs(query - x) + bias for x in support.embeddings])
        np.testing.assert_allclose(prediction.evidence[q], 1 / (1 + np.exp(-logits)), atol=1e-5)
        means = np.array([logits[labels == c].mean() for c in range(WAYS)])
        np.testing.assert_allclose(prediction.scores[q], means, atol=1e-5)
        expected = softmax_by_hand(factor * means)
        np.testing.assert_allclose(prediction.probabilities[q], expected, atol=1e-5)


def test_triplet_by_hand():
    labels = np.array([0, 0, 0, 1, 2, 2, 3])
    support = support_of(labels)
    prediction = METHODS["triplet"](TRAINED).fit(support).predict(QUERIES)
    for q, query in enumerate(QUERIES):
        distances = np.array([((query - x) ** 2).sum() for x in support.embeddings], np.float64)
        np.testing.assert_allclose(-prediction.evidence[q], distances, atol=1e-5)
        densities = [np.exp(-12.0 / 2 * distances[labels == c]).mean() for c in range(WAYS)]
        expected = np.array(densities) / sum(densities)
        np.testing.assert_allclose(prediction.probabilities[q], expected, atol=1e-4)


def test_triplet_scores_of_classes_far_behind_are_their_own():
    support = support_of(LABELS)
    method = METHODS["triplet"](TRAINED, Settings(temperature=1000.0)).fit(support)
    prediction = method.predict(-QUERIES)
    for q, query in enumerate(-QUERIES):
        distances = np.array([((query - x) ** 2).sum() for x in support.embeddings], np.float64)
        for c in range(WAYS):
            own = distances[np.equal(LABELS, c)]
            expected = -own.min() + np.log(np.exp(-500 * (own - own.min())).mean()) / 500
            np.testing.assert_allclose(prediction.scores[q, c], expected, atol=1e-5)
    np.testing.assert_allclose(prediction.probabilities.sum(1), 1, atol=1e-5)


def test_nearest_by_hand():
    support = support_of(LABELS)
    answers = fitted("pixels", support).predict(QUERIES).probabilities.argmax(1)
    for query, answer in zip(QUERIES, answers, strict=True):
        distances = [np.linalg.norm(query - x) for x in support.embeddings]  # unit vectors
        assert answer == LABELS[int(np.argmin(distances))]


def batch_of(supports):
    views = [support.views for support in supports]
    return SupportBatch(
        supports[0].classes,
        np.arange(len(supports[0].classes))[None].repeat(len(supports), 0),
        torch.from_numpy(supports[0].labels),
        torch.from_numpy(np.stack([support.embeddings for support in supports])),
        None if views[0] is None else torch.from_numpy(np.stack(views)),
    )


@ALL
@pytest.mark.parametrize("encoder", [ENCODER, TrainedEncoder()], ids=["learning", "trained"])
@pytest.mark.parametrize("unbalanced", [False, True])
def test_many_episodes_at_once_get_what_each_gets_alone(name, encoder, unbalanced):
    if encoder.family == "drawings" and name in ("clip-adapter", "tip-adapter"):
        pytest.skip("the adapter needs a plan, which drawings have none of")
    supports = [support_of(LABELS, seed) for seed in (1, 2, 3)]
    if unbalanced:
        supports = [taken(support, np.arange(1, len(LABELS))) for support in supports]
    queries = np.stack([cloud(QUERY_LABELS, seed=seed) for seed in (4, 5, 6)])
    method = METHODS[name](encoder, Settings())
    together = method.predict_batch(batch_of(supports), torch.from_numpy(queries))
    assert together.shape == (3, len(QUERY_LABELS), WAYS) and together.dtype == torch.float32
    for support, x, probabilities in zip(supports, queries, together, strict=True):
        alone = METHODS[name](encoder, Settings())
        alone = alone.fit(support, x if alone.transductive else None).predict(x)
        assert np.abs(probabilities.numpy() - alone.probabilities).max() < 1e-5


def test_finetune_at_zero_steps_is_the_prototype_exactly():
    support = support_of(LABELS)
    zero = fitted("finetune", support, steps=0).predict(QUERIES)
    np.testing.assert_array_equal(
        zero.probabilities, fitted("prototype", support).predict(QUERIES).probabilities
    )


def test_finetune_lowers_its_loss_and_changes_the_answer():
    support = support_of(LABELS)
    with trying("finetune", Plan(50, 0.02)):
        trained = fitted("finetune", support, steps=50, entropy_weight=0.0)
    start = fitted("finetune", support, steps=0)
    x = np.concatenate([support.embeddings, support.views.reshape(-1, DIM)])
    labels = np.concatenate([LABELS, LABELS.repeat(VIEWS)])

    def cross_entropy(method):
        p = method.predict(x).probabilities
        return -np.log(p[np.arange(len(x)), labels]).mean()

    assert cross_entropy(trained) < 0.9 * cross_entropy(start)
    moved = trained.predict(QUERIES).probabilities - start.predict(QUERIES).probabilities
    assert np.abs(moved).max() > 0.01
    assert np.abs(trained.biases_).max() > 0


def test_finetune_first_step_by_numerical_gradient():
    """One step from W = M, b = 0 equals gradient descent with a difference quotient."""
    support = support_of(np.array([0, 0, 1, 2, 3]))
    plan = plan_for("clip", "finetune", support)
    rate, weight = plan.learning_rate, 0.3 * plan.entropy_factor
    start = fitted("finetune", support, steps=0)
    step = fitted("finetune", support, steps=1, entropy_weight=0.3)
    x = np.concatenate([support.embeddings, support.views.reshape(-1, DIM)]).astype(np.float64)
    labels = np.concatenate([support.labels, support.labels.repeat(VIEWS)])

    def loss(weights, biases):
        rows = weights / np.linalg.norm(weights, axis=1, keepdims=True)
        logits = 12.0 * x @ rows.T + biases
        logits -= logits.max(1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        entropy = -(np.exp(log_p) * log_p).sum(1).mean()
        told = log_p[np.arange(len(x)), labels]
        return -np.mean([told[labels == c].mean() for c in range(WAYS)]) + weight * entropy

    weights, biases, h = start.weights_.astype(np.float64), np.zeros(WAYS), 1e-5
    for c, k in [(0, 0), (1, 5), (3, 23)]:
        bumped = [weights.copy(), weights.copy()]
        bumped[0][c, k] += h
        bumped[1][c, k] -= h
        slope = (loss(bumped[0], biases) - loss(bumped[1], biases)) / (2 * h)
        moved = step.weights_[c, k] - weights[c, k]
        assert moved == pytest.approx(-rate * slope, rel=2e-3, abs=1e-6)
    bumped = [biases + h * np.eye(WAYS)[2], biases - h * np.eye(WAYS)[2]]
    slope = (loss(weights, bumped[0]) - loss(weights, bumped[1])) / (2 * h)
    # The bias is part of the logits, which the answers have times a factor.
    expected = -rate * slope * plan.answer_factor
    assert plan.answer_factor != 1
    assert step.biases_[2] == pytest.approx(expected, rel=2e-3, abs=1e-6)


def test_zero_shot_by_hand():
    templates = ("a photo of a {}.", "{}!")
    prediction = fitted("clip", support_of(LABELS), templates=templates).predict(QUERIES)
    texts = []
    for name in CLASSES:
        mean = ENCODER.embed_texts([t.replace("{}", name) for t in templates]).mean(0)
        texts.append(mean / np.linalg.norm(mean))
    for q, query in enumerate(QUERIES):
        logits = 9.0 * np.array([query @ text for text in texts])
        np.testing.assert_allclose(prediction.probabilities[q], softmax_by_hand(logits), atol=1e-5)


def test_zero_shot_reads_names_alone():
    nothing = Support(CLASSES, np.zeros(0, int), np.zeros((0, DIM), np.float32))
    without = METHODS["clip"](ENCODER, Settings()).fit(nothing).predict(QUERIES)
    with_pictures = fitted("clip", support_of(LABELS)).predict(QUERIES)
    np.testing.assert_array_equal(without.probabilities, with_pictures.probabilities)


def test_class_names_with_braces_stay_as_they_are():
    support = replace(support_of(LABELS), classes=("{}", "{0}", "{name}", "{{"))
    assert np.isfinite(fitted("clip", support).predict(QUERIES).probabilities).all()


def test_temperature_makes_answers_surer():
    support = support_of(LABELS)
    distances = ("prototypical", "siamese-contrastive")
    for name in ("prototype", "triplet", "pixels", "nearest", "matching", *distances):
        mild = fitted(name, support, temperature=2.0).predict(QUERIES).probabilities.max(1)
        sharp = fitted(name, support, temperature=50.0).predict(QUERIES).probabilities.max(1)
        assert (sharp >= mild - 1e-6).all() and sharp.mean() > mild.mean() + 0.1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"steps": -1}, "-1"),
        ({"steps": 501}, "501"),
        ({"temperature": 0.0}, "0.0"),
        ({"temperature": float("nan")}, "nan"),
        ({"entropy_weight": -0.1}, "-0.1"),
        ({"entropy_weight": float("nan")}, "nan"),
        ({"templates": ()}, "{}"),
        ({"templates": ("a photo",)}, "{}"),
        ({"templates": ("{}",) * 101}, "101 prompt templates are too many"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, named):
    with pytest.raises(InputError) as refusal:
        Settings(**wrong)
    assert named in str(refusal.value)


def test_pair_head_starts_as_a_distance():
    head = PairHead(DIM)
    x, near, far = torch.zeros(DIM), torch.full((DIM,), 0.01), torch.full((DIM,), 0.2)
    assert head(x, near) > head(x, far)
    assert head(x, far).item() == pytest.approx(head(far, x).item())
    ratio = (head(x, x) - head(x, far)) / (head(x, x) - head(x, near))
    assert ratio.item() == pytest.approx(20, rel=1e-3)  # the L1 distances' ratio
