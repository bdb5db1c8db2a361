"""The methods that learn nothing from a support set, against a plain loop and others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from test_methods import ENCODER, FakeEncoder, batch_of

from fewshot.class_logits import (
    attention_logits,
    centroid_logits,
    cosine_prototype_logits,
    distance_logits,
    euclidean_distances,
    grid_membership,
    minus_squared_distances,
)
from fewshot.encoders.pair_head import PairHead
from fewshot.encoders.relation_head import RelationHead
from fewshot.methods import METHODS, Settings
from fewshot.methods.adaptation import Plan, plans, trying
from fewshot.methods.prototype import Prototype
from fewshot.types import Support

DIM, WAYS = 24, 5
CLASSES = tuple("abcde")
# Unbalanced, and not class by class.
LABELS = np.array([0, 3, 1, 1, 4, 2, 0, 1, 2, 4, 1])
TAU = 12.0


class LongEncoder(FakeEncoder):
    """Embeddings of all lengths."""

    unit_norm = False


LONG = LongEncoder()


def rows(count: int, seed: int, spread: float = 1.0) -> np.ndarray:
    """Overlapping classes of differing lengths: row i is of class ``i % WAYS``."""
    centres = np.random.default_rng(7).normal(size=(WAYS, DIM)) * np.arange(1, WAYS + 1)[:, None]
    noise = np.random.default_rng(seed).normal(size=(count, DIM))
    return (0.4 * centres[np.arange(count) % WAYS] + spread * noise).astype(np.float32)


def shown(seed: int = 1) -> Support:
    x = rows(10 * WAYS, seed).reshape(10, WAYS, DIM)
    picked = np.stack([x[i % 10, label] for i, label in enumerate(LABELS)])
    return Support(CLASSES, LABELS, picked)


QUERIES = rows(40, seed=3)


def predicted(name: str, encoder=LONG, **settings):
    return METHODS[name](encoder, Settings(**settings)).fit(shown()).predict(QUERIES)


def softmax(logits: np.ndarray) -> np.ndarray:
    terms = np.exp(logits - logits.max())
    return terms / terms.sum()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.astype(float) @ b / np.linalg.norm(a) / np.linalg.norm(b))


# Each method's formula, written out


def test_matching_by_hand() -> None:
    prediction, support = predicted("matching"), shown()
    for q, query in enumerate(QUERIES):
        attention = softmax(np.array([TAU * cosine(query, x) for x in support.embeddings]))
        expected = [sum(a for a, label in zip(attention, LABELS, strict=True) if label == c)
                    for c in range(WAYS)]  # fmt: skip
        np.testing.assert_allclose(prediction.evidence[q], attention, atol=1e-5)
        np.testing.assert_allclose(prediction.probabilities[q], expected, atol=1e-5)
        np.testing.assert_allclose(np.exp(TAU * prediction.scores[q]) / sum(
            np.exp(TAU * prediction.scores[q])), expected, atol=1e-5)  # fmt: skip


def test_matching_over_one_picture_a_class_is_a_cosine_softmax() -> None:
    support = Support(CLASSES, np.arange(WAYS), rows(WAYS, 2))
    matching, prototype = (
        METHODS[name](LONG, Settings()).fit(support).predict(QUERIES)
        for name in ("matching", "prototype")
    )
    np.testing.assert_allclose(matching.probabilities, prototype.probabilities, atol=1e-5)
    np.testing.assert_allclose(matching.scores, prototype.scores, atol=1e-5)


def test_matching_far_from_everything_stays_finite() -> None:
    prediction = predicted("matching", temperature=1000.0)
    assert np.isfinite(prediction.scores).all()
    np.testing.assert_allclose(prediction.probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("temperature", [2.0, 0.7])
def test_prototypical_by_hand(temperature: float) -> None:
    prediction, support = predicted("prototypical", temperature=temperature), shown()
    for q, query in enumerate(QUERIES.astype(float)):
        means = [support.embeddings[c == LABELS].astype(float).mean(0) for c in range(WAYS)]
        squared = np.array([((query - mean) ** 2).sum() for mean in means])
        np.testing.assert_allclose(-prediction.scores[q], squared, rtol=1e-5)
        # As published at a temperature of 2: softmax(-d²).
        expected = softmax(-temperature / 2 * squared)
        np.testing.assert_allclose(prediction.probabilities[q], expected, atol=1e-5)
        pictures = [((query - x) ** 2).sum() for x in support.embeddings.astype(float)]
        np.testing.assert_allclose(-prediction.evidence[q], pictures, rtol=1e-4)


def test_prototypical_is_scikit_learn_s_nearest_centroid() -> None:
    support = shown()
    reference = NearestCentroid().fit(support.embeddings, LABELS)
    answers = predicted("prototypical").probabilities.argmax(1)
    np.testing.assert_array_equal(answers, reference.predict(QUERIES))
    assert (answers != predicted("prototype").probabilities.argmax(1)).any()  # lengths count
    assert len(set(answers.tolist())) == WAYS


def test_siamese_contrastive_by_hand() -> None:
    prediction, support = predicted("siamese-contrastive"), shown()
    for q, query in enumerate(QUERIES.astype(float)):
        distances = np.array([np.linalg.norm(query - x) for x in support.embeddings])
        means = np.array([distances[c == LABELS].mean() for c in range(WAYS)])
        np.testing.assert_allclose(-prediction.evidence[q], distances, rtol=1e-5)
        np.testing.assert_allclose(-prediction.scores[q], means, rtol=1e-5)
        np.testing.assert_allclose(prediction.probabilities[q], softmax(-TAU * means), atol=1e-4)


def test_relation_by_hand() -> None:
    prediction, support = predicted("relation"), shown()
    head = {
        name: p.detach().double().numpy() for name, p in ENCODER.relation_head().named_parameters()
    }

    def relation(query: np.ndarray, row: np.ndarray) -> float:
        joined = np.concatenate([query, row, np.abs(query - row)])
        layer = np.concatenate(
            [head["query.weight"], head["prototype.weight"], head["difference.weight"]], 1
        )
        hidden = np.maximum(layer @ joined + head["query.bias"], 0)
        distance = head["distance.linear.weight"][0] @ np.abs(query - row)
        return head["out.weight"][0] @ hidden + distance + head["distance.linear.bias"][0]

    for q, query in enumerate(QUERIES.astype(float)):
        means = [support.embeddings[c == LABELS].astype(float).mean(0) for c in range(WAYS)]
        logits = np.array([relation(query, mean) for mean in means])
        np.testing.assert_allclose(prediction.scores[q], 1 / (1 + np.exp(-logits)), atol=1e-5)
        np.testing.assert_allclose(prediction.probabilities[q], softmax(logits), atol=1e-4)
        pictures = np.array([relation(query, x) for x in support.embeddings.astype(float)])
        np.testing.assert_allclose(prediction.evidence[q], 1 / (1 + np.exp(-pictures)), atol=1e-5)


def test_an_untrained_relation_module_ranks_by_distance() -> None:
    x, y = torch.randn(2, 30, DIM, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = RelationHead(DIM)(x, y)
    assert (logits[(x - y).abs().sum(1).argsort()].diff() <= 0).all()


class WithHeads(LongEncoder):
    """Has heads of its own, which it gives out again and again; trained, as its family says."""

    family = "drawings"

    def __init__(self) -> None:
        self._pair, self._relation = super().pair_head(), super().relation_head()

    def pair_head(self) -> PairHead:
        return self._pair

    def relation_head(self) -> RelationHead:
        return self._relation


@pytest.mark.parametrize("name", ["siamese", "relation"])
def test_a_trained_head_s_logits_get_the_factor_chosen_for_the_shots(name: str) -> None:
    method, support = METHODS[name](WithHeads()), shown()  # 11 pictures of 5 classes: as for 1 shot
    tuned = method.fit(support).predict(QUERIES)
    with trying(name, Plan()):
        plain = METHODS[name](WithHeads()).fit(support).predict(QUERIES)
    np.testing.assert_array_equal(tuned.scores, plain.scores)
    powers = plain.probabilities.astype(float) ** plans()["drawings"][name]["1"].temperature_factor
    expected = powers / powers.sum(1, keepdims=True)
    np.testing.assert_allclose(tuned.probabilities, expected, atol=1e-4)
    assert np.abs(tuned.probabilities - plain.probabilities).max() > 0.1
    together = method.predict_batch(batch_of([support]), torch.from_numpy(QUERIES)[None])
    np.testing.assert_allclose(together[0].numpy(), tuned.probabilities, atol=1e-5)


@pytest.mark.parametrize("name", ["siamese", "relation"])
def test_evaluating_on_another_device_leaves_the_encoder_s_head_there(name: str) -> None:
    encoder = WithHeads()
    batch, queries = batch_of([shown()]), torch.from_numpy(QUERIES)[None]
    before = METHODS[name](encoder).fit(shown()).predict(QUERIES).probabilities
    # A device that holds shapes and no numbers, and that every machine has.
    embeddings, labels = batch.embeddings.to("meta"), batch.labels.to("meta")
    elsewhere = replace(batch, embeddings=embeddings, labels=labels)
    together = METHODS[name](encoder).predict_batch(elsewhere, queries.to("meta"))
    assert together.shape == (1, *before.shape) and together.device.type == "meta"
    after = METHODS[name](encoder).fit(shown()).predict(QUERIES).probabilities
    np.testing.assert_array_equal(after, before)


def test_nearest_is_scikit_learn_s_nearest_neighbour() -> None:
    support = shown()
    reference = KNeighborsClassifier(1, metric="cosine").fit(support.embeddings, LABELS)
    for name in ("nearest", "pixels"):
        answers = predicted(name).probabilities.argmax(1)
        np.testing.assert_array_equal(answers, reference.predict(QUERIES))
    assert len(set(answers.tolist())) == WAYS


@pytest.mark.parametrize(
    "name", ["nearest", "siamese-contrastive", "matching", "prototypical", "relation", "prototype"]
)
def test_lengths_survive_many_episodes_at_once(name: str) -> None:
    supports = [shown(seed) for seed in (1, 2, 5)]
    queries = np.stack([rows(12, seed) for seed in (3, 4, 6)])
    together = METHODS[name](LONG).predict_batch(batch_of(supports), torch.from_numpy(queries))
    for support, x, probabilities in zip(supports, queries, together, strict=True):
        alone = METHODS[name](LONG).fit(support).predict(x).probabilities
        np.testing.assert_allclose(probabilities.numpy(), alone, atol=2e-5)


# The pieces


def test_training_and_prediction_use_the_same_prototypes() -> None:
    support = shown()
    membership = batch_of([support]).membership
    x, queries = torch.from_numpy(support.embeddings), torch.from_numpy(QUERIES)
    logits = cosine_prototype_logits(queries, x, membership, TAU)
    expected = Prototype(LONG).fit(support).predict(QUERIES).probabilities
    np.testing.assert_allclose(logits.softmax(1).numpy(), expected, atol=1e-5)


def test_a_grid_is_a_membership() -> None:
    labels = torch.arange(3).repeat_interleave(4)
    expected = torch.stack([(labels == c).float() / 4 for c in range(3)], 1)
    torch.testing.assert_close(grid_membership(3, 4), expected)


def test_a_point_is_at_no_distance_from_itself() -> None:
    x = torch.from_numpy(rows(6, 1)) * 10
    assert (euclidean_distances(x, x).diagonal() == 0).all()
    assert (minus_squared_distances(x, x) <= 0).all()
    assert minus_squared_distances(x, x).diagonal().abs().max() < 1e-5 * x.square().sum(1).max()


def test_squared_distances_are_in_full_precision_under_autocast() -> None:
    a, b = (torch.from_numpy(rows(9, seed)) * 5 for seed in (1, 2))
    with torch.autocast("cpu", torch.bfloat16):
        squared = minus_squared_distances(a, b)
        logits = centroid_logits(a, b, torch.eye(9), 2.0)
    expected = -((a[:, None].double() - b[None].double()) ** 2).sum(2)
    torch.testing.assert_close(squared.double(), expected, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    "logits", [attention_logits, centroid_logits, cosine_prototype_logits, distance_logits]
)
def test_tasks_do_not_mix(logits) -> None:
    generator = torch.Generator().manual_seed(2)
    queries, supports = (torch.randn(3, n, DIM, generator=generator) for n in (7, 6))
    membership = grid_membership(3, 2)
    together = logits(queries, supports, membership, 3.0)
    assert together.shape == (3, 7, 3)
    for i in range(3):
        alone = logits(queries[i], supports[i], membership, 3.0)
        torch.testing.assert_close(together[i], alone, rtol=1e-4, atol=1e-4)
