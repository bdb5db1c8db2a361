"""Choosing plans: the best candidate by a plain count, kept beside other families' plans."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from test_methods import FakeEncoder

from fewshot.data.pool import Pool
from fewshot.episodes import Protocol, draw_episodes
from fewshot.methods import METHODS, Settings
from fewshot.methods.adaptation import Plan, plan_for, trying
from fewshot.metrics import normalise, softmax
from fewshot.tuning import (
    ADAPTER,
    FACTORS,
    FINETUNE,
    SIAMESE,
    TRIPLET,
    WITH_QUERIES,
    Found,
    Search,
    plan_name,
    search,
    view_likeness,
    write_plans,
)
from fewshot.types import InputError, Picture, Support

PROTOCOL = Protocol(3, 1, 4)


class NoisyEncoder(FakeEncoder):
    """A picture's first pixel is its class, its second its number: a noisy point."""

    def embed(self, pictures):
        return np.stack([self._point(p, 0) for p in pictures])

    def embed_views(self, pictures, n_views):
        return np.stack([[self._point(p, 1 + v) for v in range(n_views)] for p in pictures])

    def _point(self, picture: Picture, view: int) -> np.ndarray:
        label, number = (int(v) for v in picture.pixels[0, :2, 0])
        centre = np.random.default_rng(label).normal(size=self.dim)
        noise = np.random.default_rng((label, number, view)).normal(size=self.dim)
        return normalise(centre + 1.6 * noise).astype(np.float32)


ENCODER = NoisyEncoder()


@pytest.fixture(scope="module")
def pool() -> Pool:
    pictures = [
        Picture(f"{c}/{i}", np.array([[[c] * 3, [i] * 3]], np.uint8))
        for c in range(5)
        for i in range(12)
    ]
    return Pool(pictures, np.arange(5).repeat(12), tuple("abcde"))


def accuracy_by_hand(pool: Pool, plan: Plan, episodes: int = 15, seed: int = 1) -> float:
    x, views = ENCODER.embed(pool.pictures), ENCODER.embed_views(pool.pictures, 4)
    hits = []
    for episode in draw_episodes(pool.labels, PROTOCOL, episodes, seed):
        names = tuple(pool.classes[c] for c in episode.classes)
        shown = Support(names, episode.support_labels, x[episode.support], views[episode.support])
        with trying("finetune", plan):
            method = METHODS["finetune"](ENCODER, Settings()).fit(shown)
        answers = method.predict(x[episode.queries]).labels
        wanted = [names[label] for label in episode.query_labels]
        hits += [a == w for a, w in zip(answers, wanted, strict=True)]
    return float(np.mean(hits))


def test_the_best_candidate_is_found(pool: Pool) -> None:
    candidates = (Plan(50, 1e-6), Plan(50, 0.01), Plan(50, 3.0))
    what = Search("finetune", {"1": PROTOCOL}, candidates)
    lines: list[str] = []
    found = search(what, ENCODER, pool, Settings(), 15, lines.append)["1"]
    by_hand = [accuracy_by_hand(pool, plan) for plan in candidates]
    assert len(set(by_hand)) > 1
    assert found.accuracy == pytest.approx(max(by_hand))
    assert found.plan == candidates[by_hand.index(max(by_hand))]
    assert len(lines) == 1 and "finetune, 1-shot" in lines[0]


def test_the_prior_is_chosen_on_more_episodes_of_their_own(pool: Pool, monkeypatch) -> None:
    centres = [np.random.default_rng(c).normal(size=ENCODER.dim) for c in range(5)]
    monkeypatch.setattr(ENCODER, "known", normalise(np.stack(centres)).astype(np.float32))
    what = Search("finetune", {"1": PROTOCOL}, (Plan(10, 0.01),), priors=(0.0, 0.5, 4.0))
    found = search(what, ENCODER, pool, Settings(), 15)["1"]
    plans = [Plan(10, 0.01, prior=weight) for weight in what.priors]
    by_hand = [accuracy_by_hand(pool, plan, 5 * 15, seed=11) for plan in plans]
    assert len(set(by_hand)) == 3
    assert found.plan == plans[by_hand.index(max(by_hand))] != plans[0]
    assert found.accuracy == pytest.approx(accuracy_by_hand(pool, found.plan))


def test_the_sharpness_of_a_calibrated_method_by_hand(pool: Pool) -> None:
    """Of plain loops over episodes and factors; answers stay as they were."""
    plan = Plan(10, 1.0)
    what = Search("siamese", {"1": PROTOCOL}, (plan,), calibrated="temperature_factor")
    found = search(what, ENCODER, pool, Settings(), 8)["1"]
    x, views = ENCODER.embed(pool.pictures), ENCODER.embed_views(pool.pictures, 4)
    losses = dict.fromkeys(FACTORS, 0.0)
    for episode in draw_episodes(pool.labels, PROTOCOL, 8, seed=1):
        names = tuple(pool.classes[c] for c in episode.classes)
        shown = Support(names, episode.support_labels, x[episode.support], views[episode.support])
        answers = []
        for tried in (plan, found.plan):
            with trying("siamese", tried):
                method = METHODS["siamese"](ENCODER, Settings()).fit(shown)
            answers.append(method.predict(x[episode.queries]))
        assert answers[0].labels == answers[1].labels
        sharpened = answers[0].scores * found.plan.temperature_factor  # mean pair logits
        np.testing.assert_allclose(answers[1].probabilities, softmax(sharpened), atol=1e-6)
        for factor in FACTORS:
            p = softmax(factor * answers[0].scores.astype(np.float64))
            for row, label in zip(p, episode.query_labels, strict=True):
                losses[factor] -= np.log(row[label])
    assert found.plan == replace(plan, temperature_factor=min(losses, key=losses.get))
    assert found.plan.temperature_factor not in (1.0, FACTORS[0], FACTORS[-1])


def test_the_sharpness_of_answers_after_learning_with_queries(pool: Pool) -> None:
    """What is learned stays as it is; the factor is the likeliest of plain loops."""
    plan = Plan(10, 0.1, entropy_factor=3.0, temperature_factor=0.25)
    name = "finetune-transductive"
    protocol = {"1": PROTOCOL}
    what = Search("finetune", protocol, (plan,), transductive=True, calibrated="answer_factor")
    found = search(what, ENCODER, pool, Settings(), 8)["1"]
    settings = Settings(transductive=True)
    x, views = ENCODER.embed(pool.pictures), ENCODER.embed_views(pool.pictures, 4)
    losses = dict.fromkeys(FACTORS, 0.0)
    for episode in draw_episodes(pool.labels, PROTOCOL, 8, seed=1):
        names = tuple(pool.classes[c] for c in episode.classes)
        shown = Support(names, episode.support_labels, x[episode.support], views[episode.support])
        queries, answers = x[episode.queries], []
        for tried in (plan, found.plan):
            with trying(name, tried):
                method = METHODS["finetune"](ENCODER, settings).fit(shown, queries)
            answers.append(method.predict(queries))
        assert answers[0].labels == answers[1].labels
        logits = ENCODER.temperature * 0.25 * answers[0].scores.astype(np.float64)
        sharpened = softmax(found.plan.answer_factor * logits)
        np.testing.assert_allclose(answers[1].probabilities, sharpened, atol=1e-5)
        for factor in FACTORS:
            p = softmax(factor * logits)
            for row, label in zip(p, episode.query_labels, strict=True):
                losses[factor] -= np.log(row[label])
    assert found.plan == replace(plan, answer_factor=min(losses, key=losses.get))
    assert found.plan.answer_factor not in (1.0, FACTORS[0], FACTORS[-1])


def test_on_a_tie_the_first_and_gentlest_is_kept(pool: Pool) -> None:
    candidates = (Plan(50, 1e-7), Plan(50, 2e-7))
    what = Search("finetune", {"1": PROTOCOL}, candidates)
    assert search(what, ENCODER, pool, Settings(), 5)["1"].plan == candidates[0]


def test_a_plan_being_tried_is_its_methods_until_it_no_longer_is() -> None:
    support = Support(("a", "b"), np.array([0, 1]), np.eye(2, ENCODER.dim, dtype=np.float32))
    usual = plan_for("clip", "siamese", support)
    tried = replace(usual, steps=usual.steps + 1)
    with trying("siamese", tried):
        assert plan_for("clip", "siamese", support) == tried
        assert plan_for("clip", "triplet", support) != tried
    assert plan_for("clip", "siamese", support) == usual


def test_plans_are_written_beside_other_families(tmp_path) -> None:
    file = tmp_path / "plans.json"
    write_plans(file, "drawings", {"finetune": {"1": Found(Plan(50, 0.01), 0.9)}})
    write_plans(file, "clip", {"siamese": {"5": Found(Plan(10, 0.3), 0.8)}})
    assert json.loads(file.read_text()) == {
        "drawings": {"finetune": {"1": {"steps": 50, "learning_rate": 0.01}}},
        "clip": {"siamese": {"5": {"steps": 10, "learning_rate": 0.3}}},
    }


def test_every_candidate_really_learns() -> None:
    searches = (FINETUNE, WITH_QUERIES, SIAMESE, TRIPLET, ADAPTER)
    assert all(p.steps > 0 and p.learning_rate > 0 for s in searches for p in s.candidates)
    assert [plan_name(s) for s in searches] == [
        "finetune", "finetune-transductive", "siamese", "triplet", "clip-adapter",
    ]  # fmt: skip


def test_the_likeness_of_views_by_hand(pool: Pool) -> None:
    x, views = ENCODER.embed(pool.pictures), ENCODER.embed_views(pool.pictures, 4)
    within, between = [], []
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                (within if pool.labels[i] == pool.labels[j] else between).append(x[i] @ x[j])
    of_views = [x[i] @ view for i in range(len(x)) for view in views[i]]
    expected = (np.mean(within) - np.mean(between)) / (np.mean(of_views) - np.mean(between))
    assert view_likeness(ENCODER, pool) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("content", [b"no JSON", b"[1]", b"\xff"])
def test_a_file_of_something_else_is_no_place_for_plans(tmp_path, content) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"notes\.txt"):
        write_plans(file, "clip", {})
    assert file.read_bytes() == content
