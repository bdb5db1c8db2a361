"""What is counted of answers, against counting by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.episodes import EpisodeBatch
from fewshot.tally import CALIBRATION_BINS, Tally

E, WAYS, QUERIES, CLASSES = 40, 7, 3, 12


@pytest.fixture(scope="module")
def answers() -> list[tuple[EpisodeBatch, np.ndarray]]:
    """Two batches with random probabilities that lean towards the truth."""
    rng = np.random.default_rng(0)
    query_labels = np.arange(WAYS).repeat(QUERIES)
    found = []
    for _ in range(2):
        classes = np.stack([rng.permutation(CLASSES)[:WAYS] for _ in range(E)])
        nothing = np.zeros((E, 0), np.int64)
        queries = np.zeros((E, WAYS * QUERIES), np.int64)
        batch = EpisodeBatch(classes, nothing, nothing[0], queries, query_labels)
        logits = rng.normal(size=(E, WAYS * QUERIES, WAYS))
        logits[:, np.arange(len(query_labels)), query_labels] += 1.0
        p = np.exp(2 * logits)
        found.append((batch, (p / p.sum(2, keepdims=True)).astype(np.float32)))
    return found


@pytest.fixture(scope="module")
def tally(answers) -> Tally:
    tally = Tally(CLASSES)
    for batch, p in answers:
        tally.add(batch, torch.from_numpy(p), 0.5)
    return tally


def queries_of(answers):
    """Every query's row of probabilities, true label, and episode's classes."""
    for batch, p in answers:
        for e in range(E):
            for q, label in enumerate(batch.query_labels.tolist()):
                yield p[e, q], label, batch.classes[e]


def test_accuracies_by_episode(answers, tally) -> None:
    hits = np.array([p.argmax() == label for p, label, _ in queries_of(answers)])
    np.testing.assert_allclose(tally.accuracies, hits.reshape(2 * E, -1).mean(1))
    assert tally.queries == 2 * E * WAYS * QUERIES and tally.seconds == 1.0
    assert tally.accuracy()[0] == pytest.approx(hits.mean())


def test_top_five(answers, tally) -> None:
    hits = [label in np.argsort(-p)[:5] for p, label, _ in queries_of(answers)]
    assert 0.5 < np.mean(hits) < 1
    assert tally.top5 == pytest.approx(np.mean(hits))


def test_confusion(answers, tally) -> None:
    expected = np.zeros((CLASSES, CLASSES), int)
    for p, label, classes in queries_of(answers):
        expected[classes[label], classes[p.argmax()]] += 1
    np.testing.assert_array_equal(tally.confusion, expected)


def test_expected_calibration_error(answers, tally) -> None:
    rows = [(p.max(), p.argmax() == label) for p, label, _ in queries_of(answers)]
    error = 0.0
    for b in range(CALIBRATION_BINS):
        low, high = b / CALIBRATION_BINS, (b + 1) / CALIBRATION_BINS
        inside = [(s, hit) for s, hit in rows if low <= s < high or (s == 1 and high == 1)]
        if inside:
            sureness, hits = np.array(inside, float).T
            error += len(inside) / len(rows) * abs(sureness.mean() - hits.mean())
    assert error > 0.02
    assert tally.calibration_error == pytest.approx(error, abs=1e-6)


def test_sure_and_right_is_perfectly_calibrated() -> None:
    labels = np.arange(2)
    batch = EpisodeBatch(labels[None], labels[None], labels, labels[None], labels)
    right, wrong = (Tally(2) for _ in range(2))
    right.add(batch, torch.eye(2)[None], 0.0)
    wrong.add(batch, torch.eye(2).flip(0)[None], 0.0)
    assert (right.calibration_error, wrong.calibration_error) == (0.0, 1.0)
    # Two of two, or none: 0.2236² is 0.05.
    assert right.accuracy() == (1.0, pytest.approx(1 - 0.22361, abs=1e-5))
    assert wrong.accuracy() == (0.0, pytest.approx(1 - 0.22361, abs=1e-5))


def test_one_episode_has_no_spread_so_its_interval_is_over_its_queries() -> None:
    labels = np.arange(3)
    batch = EpisodeBatch(labels[None], labels[None], labels, labels[None], labels)
    tally = Tally(3)
    tally.add(batch, torch.tensor([[[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2]]]), 0.0)
    mean, half = tally.accuracy()
    assert mean == pytest.approx(2 / 3)
    assert half == pytest.approx(4.3027 * np.std([1, 1, 0], ddof=1) / np.sqrt(3), rel=0.01)


def test_pictures_asked_again_make_nothing_surer() -> None:
    labels = np.arange(2)
    twice = np.array([[7, 9], [9, 7], [7, 9]])
    batch = EpisodeBatch(np.stack([labels] * 3), twice, labels, twice, labels)
    tally, equal = Tally(2), Tally(2)
    for one in (tally, equal):
        one.add(batch, torch.eye(2).expand(3, 2, 2), 0.0)
    assert tally.accuracy() == (1.0, pytest.approx(1 - 0.05 ** (1 / 2)))
    assert tally.difference(equal) == (0.0, pytest.approx(1 - 0.05 ** (1 / 2)))


def test_episodes_that_come_out_alike_leave_something_open() -> None:
    """As where one class is answered whatever is asked: always a half of two classes."""
    constant, right = Tally(2), Tally(2)
    for tally, answered in ((constant, [0, 0]), (right, [0, 1])):
        for number in range(5):
            queries = np.array([[2 * number, 2 * number + 1]])
            batch = EpisodeBatch(
                np.array([[0, 1]]), np.zeros((1, 0), np.int64), np.zeros(0, np.int64), queries,
                np.array([0, 1]),
            )  # fmt: skip
            tally.add(batch, torch.eye(2)[answered][None], 0.1)
    open_to = 1 - 0.05 ** (1 / 10)
    assert constant.accuracy() == (0.5, pytest.approx(open_to))
    assert constant.difference(right) == (-0.5, pytest.approx(open_to))


def test_of_equals_as_many_are_among_the_five_as_by_lot() -> None:
    labels = np.arange(20)
    batch = EpisodeBatch(labels[None], labels[None], labels, labels[None], labels)
    tally = Tally(20)
    tally.add(batch, torch.full((1, 20, 20), 1 / 20), 0.0)
    assert tally.top5 == pytest.approx(5 / 20)


def test_no_confusion_matrix_of_very_many_classes() -> None:
    labels = np.arange(2)
    batch = EpisodeBatch(labels[None], labels[None], labels, labels[None], labels)
    tally = Tally(10**9)
    tally.add(batch, torch.eye(2)[None], 0.0)
    assert tally.confusion is None and tally.accuracy()[0] == 1


def remembering(batches, remembered: int) -> Tally:
    """A tally of batches whose queries are pictures: the true class times 10, plus 0 to 9."""
    tally = Tally(CLASSES, remembered)
    for batch, p in batches:
        tally.add(batch, torch.from_numpy(p), 0.0)
    return tally


@pytest.fixture(scope="module")
def asked(answers) -> list[tuple[EpisodeBatch, np.ndarray]]:
    """The same answers, to queries that come up again and again."""
    rng = np.random.default_rng(1)
    return [
        (
            replace(
                b, queries=10 * b.classes[:, b.query_labels] + rng.integers(10, size=p.shape[:2])
            ),
            p,
        )
        for b, p in answers
    ]


def test_the_first_few_different_queries_of_each_pair_are_remembered(asked) -> None:
    expected: dict[tuple[int, int], list[int]] = {}
    for batch, p in asked:
        for e in range(E):
            for q, label in enumerate(batch.query_labels):
                pair = (int(batch.classes[e][label]), int(batch.classes[e][p[e, q].argmax()]))
                seen = expected.setdefault(pair, [])
                query = int(batch.queries[e, q])
                if query not in seen and len(seen) < 4:
                    seen.append(query)
    examples = remembering(asked, 4).examples
    found: dict[tuple[int, int], list[int]] = {}
    for true, answered, query in examples.tolist():
        found.setdefault((true, answered), []).append(query)
    assert found == expected
    assert max(map(len, found.values())) == 4  # some pairs have more than that


def test_memory_is_bounded_and_off_unless_asked_for(asked) -> None:
    many = remembering(asked * 20, 2).examples
    assert len(many) <= 2 * CLASSES**2
    np.testing.assert_array_equal(many, remembering(asked, 2).examples)
    assert remembering(asked, 0).examples.shape == (0, 3)


def test_a_class_of_no_probability_is_not_among_the_five_likeliest() -> None:
    labels = np.arange(8)
    batch = EpisodeBatch(labels[None], labels[None], labels, labels[None], labels)
    tally = Tally(8)
    p = torch.zeros(1, 8, 8)
    p[0, :, 0] = 1  # sure of the first, whatever is asked
    tally.add(batch, p, 0.0)
    assert tally.top5 == 1 / 8


def test_of_five_classes_all_are_among_the_five_likeliest() -> None:
    labels = np.arange(5)
    batch = EpisodeBatch(labels[None], labels[None], labels, labels[None], labels)
    tally = Tally(5)
    p = torch.zeros(1, 5, 5)
    p[0, :, 0] = 1
    tally.add(batch, p, 0.0)
    assert tally.top5 == 1
