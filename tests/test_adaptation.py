"""Learning from the support set: each learner against plain arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_methods import (
    CLASSES,
    DIM,
    ENCODER,
    LABELS,
    QUERIES,
    QUERY_LABELS,
    TRAINED,
    VIEWS,
    WAYS,
    batch_of,
    cloud,
    support_of,
)

from fewshot.encoders.pair_head import PairHead
from fewshot.methods import METHODS, Settings
from fewshot.methods.adaptation import (
    Plan,
    learns,
    plan_for,
    plans,
    sharpness,
    trying,
)
from fewshot.methods.batch import examples_up_to
from fewshot.methods.clip_adapter import ALPHAS, BETAS
from fewshot.methods.pair_learning import learn_pair_head
from fewshot.methods.projection_learning import MARGIN, learn_projection
from fewshot.metrics import normalise, softmax
from fewshot.types import InputError, Support

LEARNERS = ("siamese", "triplet", "finetune", "clip-adapter")


@pytest.fixture
def shown():
    return examples_up_to(support_of(LABELS), 10_000)


def pair_loss_by_hand(weight, bias, x, labels) -> float:
    """Mean cross-entropy over same pairs and over different pairs, averaged."""
    losses = {True: [], False: []}
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            logit = weight @ np.abs(x[i] - x[j]) + bias
            same = bool(labels[i] == labels[j])
            losses[same].append(np.log1p(np.exp(-logit if same else logit)))
    return (np.mean(losses[True]) + np.mean(losses[False])) / 2


def test_one_step_of_the_pair_head_by_difference_quotient(shown):
    x, labels = shown[0][:12], shown[1][:12]
    head, rate, h = PairHead(DIM), 0.5, 1e-5
    learned = learn_pair_head(head, x, labels, Plan(1, rate))
    weight, bias = head.linear.weight.detach().numpy()[0].astype(float), head.linear.bias.item()
    numbers = (x.double().numpy(), labels.numpy())
    for k in (0, 7, DIM - 1):
        step = h * np.eye(DIM)[k]
        slope = pair_loss_by_hand(weight + step, bias, *numbers)
        slope = (slope - pair_loss_by_hand(weight - step, bias, *numbers)) / (2 * h)
        moved = learned.linear.weight[0, k].item() - weight[k]
        assert moved == pytest.approx(-rate * slope, rel=2e-3, abs=1e-6)
    slope = pair_loss_by_hand(weight, bias + h, *numbers)
    slope = (slope - pair_loss_by_hand(weight, bias - h, *numbers)) / (2 * h)
    assert learned.linear.bias.item() - bias == pytest.approx(-rate * slope, rel=2e-3, abs=1e-6)


def test_the_pair_head_given_stays_as_it_is_and_learning_lowers_the_loss(shown):
    x, labels = shown
    head = PairHead(DIM)
    before = {k: v.clone() for k, v in head.state_dict().items()}
    learned = learn_pair_head(head, x, labels, Plan(40, 0.5))
    for name, value in head.state_dict().items():
        assert torch.equal(value, before[name])
    numbers = (x.numpy(), labels.numpy())

    def loss(of):
        return pair_loss_by_hand(
            of.linear.weight[0].detach().numpy(), of.linear.bias.item(), *numbers
        )

    assert loss(learned) < 0.95 * loss(head)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_without_pairs_of_both_kinds_there_is_nothing_to_learn(labels, shown):
    head = PairHead(DIM)
    learned = learn_pair_head(head, shown[0][:3], torch.tensor(labels), Plan(9, 1.0))
    assert torch.equal(learned.linear.weight, head.linear.weight)
    projection = learn_projection(shown[0][:3], torch.tensor(labels), Plan(9, 1.0))
    assert torch.equal(projection, torch.eye(DIM))


def test_the_projection_starts_as_the_identity_and_lowers_the_hardest_triplets(shown):
    x, labels = shown
    eye = torch.eye(DIM)
    assert torch.equal(learn_projection(x, labels, Plan(0, 0.1)), eye)

    def loss(projection) -> float:
        z = normalise(x.numpy() @ projection.numpy().T)
        hardest = []
        for i, anchor in enumerate(z):
            d = ((z - anchor) ** 2).sum(1)
            same = labels.numpy() == labels[i].item()
            same[i] = False
            other = labels.numpy() != labels[i].item()
            hardest.append(max(0.0, d[same].max() - d[other].min() + MARGIN))
        return float(np.mean(hardest))

    learned = learn_projection(x, labels, Plan(30, 0.05))
    assert loss(learned) < 0.9 * loss(eye)
    # Two classes are enough, and two pictures of one of them.
    assert not torch.equal(learn_projection(x[:3], torch.tensor([0, 0, 1]), Plan(9, 1.0)), eye)


@pytest.mark.parametrize("name", LEARNERS)
def test_learning_changes_the_answer_and_its_plan_takes_steps(name, monkeypatch):
    support = support_of(LABELS)
    unsure = cloud(QUERY_LABELS, seed=9, spread=2.0)
    learned = METHODS[name](ENCODER, Settings()).fit(support).predict(unsure).probabilities
    assert plan_for("clip", name, support).steps > 0
    monkeypatch.setattr("fewshot.methods.base.plan_for", lambda *_: Plan(0, 1e-9))
    steps = {"steps": 0} if name == "finetune" else {}
    start = METHODS[name](ENCODER, Settings(**steps)).fit(support).predict(unsure).probabilities
    assert np.abs(learned - start).max() > 1e-4


def test_plans_are_taken_by_the_nearest_number_of_shots(monkeypatch):
    table = {"clip": {"siamese": {k: Plan(int(k), 0.1) for k in ("1", "4", "16")}}}
    monkeypatch.setattr("fewshot.methods.adaptation.plans", lambda: table)
    for per_class, tuned in [(1, 1), (2, 1), (3, 4), (4, 4), (7, 4), (9, 16), (40, 16)]:
        support = support_of(np.arange(WAYS).repeat(per_class))
        assert plan_for("clip", "siamese", support).steps == tuned
    assert learns("clip", "siamese") and not learns("drawings", "siamese")


def test_a_plan_that_is_tried_counts_whatever_the_data_say():
    support = support_of(LABELS)
    assert not learns("drawings", "siamese") and learns("clip", "siamese")
    assert sharpness("clip", "relation", support) == 1
    with trying("siamese", Plan(steps=10, learning_rate=0.1, temperature_factor=3.0)):
        assert learns("drawings", "siamese") and sharpness("drawings", "siamese", support) == 3
        assert METHODS["siamese"](TRAINED).n_views == METHODS["siamese"](ENCODER).n_views
        assert learns("clip", "triplet") and not learns("drawings", "triplet")
    with trying("relation", Plan(temperature_factor=2.0)):
        assert sharpness("clip", "relation", support) == 2
    with trying("siamese", Plan()):
        assert not learns("clip", "siamese")


def test_without_a_file_there_are_no_plans(tmp_path, monkeypatch):
    monkeypatch.setattr("fewshot.methods.adaptation.FILE", tmp_path / "none.json")
    plans.cache_clear()
    try:
        support = support_of(LABELS)
        assert plans() == {} and not learns("clip", "siamese")
        assert sharpness("drawings", "siamese", support) == 1
        METHODS["siamese"](ENCODER).fit(support).predict(QUERIES)
        with pytest.raises(InputError, match="fewshot tune clip”"):
            METHODS["finetune"](ENCODER).fit(support)
        with trying("finetune", Plan(5, 0.01)):
            METHODS["finetune"](ENCODER).fit(support).predict(QUERIES)
    finally:
        plans.cache_clear()


def test_every_learner_has_a_plan_for_photos():
    assert set(plans()["clip"]) == {*LEARNERS, "finetune-transductive", "last-block"}
    assert all(plan.steps > 0 for by in plans()["clip"].values() for plan in by.values())


def test_examples_are_cut_where_there_are_too_many():
    support = support_of(LABELS)
    n = len(LABELS)
    assert len(examples_up_to(support, n * (1 + VIEWS))[1]) == n * (1 + VIEWS)
    assert len(examples_up_to(support, n * (1 + VIEWS) - 1)[1]) == n


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ([0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 3, 4, 6]),
        ([2, 0, 0, 1, 0, 0, 0, 0, 2], [0, 1, 2, 3, 8]),  # a class has one, the largest the rest
        ([0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 1, 2, 3, 8]),
    ],
)
def test_of_too_many_pictures_each_class_lends_as_many(labels: list[int], kept: list[int]) -> None:
    x = np.arange(2 * len(labels), dtype=np.float32).reshape(-1, 2) + 1
    names = tuple("abc"[: max(labels) + 1])
    found, whose = examples_up_to(Support(names, np.array(labels), x), 5)
    np.testing.assert_allclose(found, x[kept] / np.linalg.norm(x[kept], axis=1, keepdims=True))
    assert whose.tolist() == [labels[i] for i in kept]


def test_siamese_learns_from_more_pictures_than_it_takes_at_once(monkeypatch) -> None:
    monkeypatch.setattr("fewshot.methods.siamese.MOST_EXAMPLES", len(LABELS) - 1)
    learned = METHODS["siamese"](ENCODER).fit(support_of(LABELS)).head_
    assert not torch.equal(learned.linear.weight, ENCODER.pair_head().linear.weight)


def tip_adapter(queries, keys, labels, text, alpha, beta, scale) -> np.ndarray:
    """Zhang et al. 2022, equations 4 to 6, with the mean of a class's affinities for their sum."""
    probabilities = []
    for query in queries:
        logits = []
        for c in range(len(text)):
            affinity = np.mean([np.exp(-beta * (1 - query @ key)) for key in keys[labels == c]])
            logits.append(scale * (query @ text[c] + alpha * affinity))
        probabilities.append(softmax(np.array(logits)))
    return np.stack(probabilities)


@pytest.mark.parametrize(("name", "steps"), [("clip-adapter", 0), ("tip-adapter", 50)])
def test_the_adapter_is_tip_adapter(monkeypatch, name, steps):
    monkeypatch.setattr("fewshot.methods.base.plan_for", lambda *_: Plan(steps, 0.1))
    labels = np.array([0, 0, 0, 1, 2, 2, 3])
    support = support_of(labels)
    method = METHODS[name](ENCODER, Settings(templates=("{}",))).fit(support)
    text = ENCODER.embed_texts(list(CLASSES))
    assert method.alpha_ in ALPHAS and method.alpha_ > 0 and method.beta_ in BETAS
    expected = tip_adapter(
        QUERIES,
        support.embeddings,
        labels,
        text,
        method.alpha_,
        method.beta_,
        ENCODER.text_temperature,
    )
    np.testing.assert_allclose(method.predict(QUERIES).probabilities, expected, atol=1e-4)


def test_one_step_of_the_adapter_s_keys_by_difference_quotient(monkeypatch):
    rate, h = 0.5, 1e-4
    monkeypatch.setattr("fewshot.methods.base.plan_for", lambda *_: Plan(1, rate))
    support = support_of(LABELS)
    method = METHODS["clip-adapter"](ENCODER, Settings(templates=("{}",))).fit(support)
    text = ENCODER.embed_texts(list(CLASSES))
    views, targets = normalise(support.views.reshape(-1, DIM)), LABELS.repeat(VIEWS)
    keys = support.embeddings.astype(float)

    def loss(first: np.ndarray) -> float:
        """With another first key: minus the mean logarithm of each view's own class."""
        changed = normalise(np.vstack([first, keys[1:]]))
        constants = method.alpha_, method.beta_, method.temperature_
        p = tip_adapter(views, changed, LABELS, text, *constants)
        return -np.log(p[np.arange(len(p)), targets]).mean()

    slopes = [(loss(keys[0] + e) - loss(keys[0] - e)) / (2 * h) for e in h * np.eye(DIM)]
    expected = keys[0] - rate * np.array(slopes)
    assert np.linalg.norm(expected - keys[0]) > 0.01
    found = method._trained_keys(support)[0]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)


def best_by_hand(asked, labels, allowed, cosine) -> tuple[float, float, float]:
    """α, β and the sharpness by plain loops.

    ``allowed(i, j)``: whether picture j may answer question i; ``cosine(i, j)``: their likeness.
    """
    text = asked @ ENCODER.embed_texts(list(CLASSES)).T
    n = len(LABELS) if len(asked) == len(LABELS) else WAYS
    of_pictures = LABELS if n == len(LABELS) else np.arange(WAYS)
    alone, _ = at_its_sharpest([text[i] for i in range(len(asked))], labels)
    doubt = 1 if n == len(LABELS) else 1 + 9 * max(0, 1 - np.mean(alone) / np.log(WAYS))
    best, chosen, believed = 0.0, (0.0, BETAS[0], 1.0), False
    for alpha in ALPHAS:
        for beta in BETAS:
            scores = []
            for i in range(len(asked)):
                affinity = np.zeros(WAYS)
                for c in range(WAYS):
                    those = [j for j in range(n) if of_pictures[j] == c and allowed(i, j)]
                    affinity[c] = np.mean([np.exp(-beta * (1 - cosine(i, j))) for j in those])
                scores.append(text[i] + alpha * affinity)
            together, sharpness = at_its_sharpest(scores, labels)
            changes = [b - a for a, b in zip(alone, together, strict=True)]
            if n == WAYS:  # views of one picture count as one
                changes = [np.mean(changes[k : k + VIEWS]) for k in range(0, len(asked), VIEWS)]
            error = np.std(changes) / np.sqrt(len(changes))
            believed |= np.mean(changes) + doubt * error < -1e-9
            if np.mean(changes) + error < best - 1e-9:
                best, chosen = np.mean(changes) + error, (alpha, beta, sharpness)
    return chosen if believed else (0.0, BETAS[0], 1.0)


def sharpness_of(method) -> float:
    """What its answers' temperature is, as a factor on the encoder's; exact, as it was chosen."""
    return round(method.temperature_ / ENCODER.text_temperature, 4)


def at_its_sharpest(scores, labels) -> tuple[list[float], float]:
    """Negative log-likelihoods at the factor on the temperature at which they are least in all."""
    tried = []
    for factor in (0.0625, 0.09, 0.125, 0.18, 0.25, 0.35, 0.5, 0.71, 1.0, 1.41, 2.0):
        p = [softmax(factor * ENCODER.text_temperature * s) for s in scores]
        tried.append(([-np.log(p[i][label]) for i, label in enumerate(labels)], factor))
    return min(tried, key=lambda one: sum(one[0]))


def test_alpha_and_beta_are_the_likeliest_for_pictures_left_out():
    support = support_of(LABELS)
    x = support.embeddings
    method = METHODS["clip-adapter"](ENCODER, Settings(templates=("{}",))).fit(support)
    expected = best_by_hand(x, LABELS, lambda i, j: i != j, lambda i, j: x[i] @ x[j])
    assert method.alpha_ > 0  # the names here are noise
    assert (method.alpha_, method.beta_, sharpness_of(method)) == expected


@pytest.mark.parametrize(
    ("likeness", "believed"), [(1.0, True), (0.3, True), (0.1, True), (0.0, False)]
)
def test_one_picture_a_class_is_told_by_its_views(monkeypatch, likeness, believed):
    plan = Plan(1, 1e-9, view_likeness=likeness)
    monkeypatch.setattr("fewshot.methods.base.plan_for", lambda *_: plan)
    labels = np.arange(WAYS)
    support = support_of(labels)
    method = METHODS["clip-adapter"](ENCODER, Settings(templates=("{}",))).fit(support)
    asked, of_views = support.views.reshape(-1, DIM), labels.repeat(VIEWS)
    cosines = asked @ support.embeddings.T
    others = [cosines[i, j] for i in range(len(asked)) for j in labels if j != of_views[i]]
    between = np.mean(others)

    def cosine(i: int, j: int) -> float:
        if j != of_views[i]:
            return cosines[i, j]
        return between + likeness * (cosines[i, j] - between)

    expected = best_by_hand(asked, of_views, lambda i, j: True, cosine)
    assert (method.alpha_, method.beta_, sharpness_of(method)) == expected
    assert (method.alpha_ > 0) == believed  # views no nearer than others tell nothing


def test_views_are_doubted_more_where_names_tell_much(monkeypatch):
    plan = Plan(1, 1e-9, view_likeness=0.3)
    monkeypatch.setattr("fewshot.methods.base.plan_for", lambda *_: plan)
    rng = np.random.default_rng(4)
    shape = (WAYS, 1 + VIEWS, DIM)
    texts = ENCODER.embed_texts(list(CLASSES))[:, None]
    shown = normalise(texts + 0.3 * rng.standard_normal(shape)).astype(np.float32)
    support = replace(support_of(np.arange(WAYS)), embeddings=shown[:, 0], views=shown[:, 1:])
    method = METHODS["clip-adapter"](ENCODER, Settings(templates=("{}",)))
    assert method.fit(support).alpha_ == 0
    monkeypatch.setattr("fewshot.methods.clip_adapter.DOUBT_OF_VIEWS", 1.0)
    assert method.fit(support).alpha_ > 0


def test_a_class_of_one_picture_takes_the_cache_s_word_from_no_other():
    texts = ENCODER.embed_texts(list(CLASSES))
    for shots in ((10, 10, 10, 2), (10, 10, 10, 1)):
        labels = np.arange(WAYS).repeat(shots)
        rng = np.random.default_rng(2)
        # Names tell most, and what the pictures share besides tells more.
        offsets = rng.standard_normal((WAYS, DIM))[labels, None]
        noise = rng.standard_normal((len(labels), 1 + VIEWS, DIM))
        shown = normalise(texts[labels, None] + 0.15 * offsets + 0.2 * noise).astype(np.float32)
        support = Support(CLASSES, labels, shown[:, 0], shown[:, 1:])
        method = METHODS["clip-adapter"](ENCODER, Settings(templates=("{}",))).fit(support)
        assert method.alpha_ > 0, shots


@pytest.mark.filterwarnings("error")
def test_names_tell_all_there_is_of_a_single_class():
    support = replace(support_of(np.zeros(1, np.int64)), classes=CLASSES[:1])
    assert METHODS["clip-adapter"](ENCODER, Settings()).fit(support).alpha_ == 0


def test_the_fusion_is_the_mean_of_its_parts():
    support = support_of(LABELS)
    parts = [METHODS[n](ENCODER).fit(support).predict(QUERIES) for n in ("clip", "prototype")]
    fused = METHODS["fusion"](ENCODER).fit(support).predict(QUERIES)
    expected = (parts[0].probabilities + parts[1].probabilities) / 2
    np.testing.assert_allclose(fused.probabilities, expected, atol=1e-6)


def test_transductive_fine_tuning_makes_the_queries_surer_and_needs_several_of_them():
    support = support_of(LABELS)
    unsure = cloud(QUERY_LABELS, seed=9, spread=1.0)
    alone = METHODS["finetune"](ENCODER, Settings()).fit(support)
    method = METHODS["finetune"](ENCODER, Settings(transductive=True))
    assert method.transductive and not alone.transductive

    def entropy(p) -> float:
        return float(-(p * np.log(p + 1e-12)).sum(1).mean())

    with trying("finetune-transductive", Plan(50, 0.1, entropy_factor=30.0)):
        seen = method.fit(support, unsure).predict(unsure).probabilities
    assert entropy(seen) < 0.98 * entropy(alone.predict(unsure).probabilities)
    single = method.fit(support, unsure[:1]).predict(unsure[:1]).probabilities
    np.testing.assert_allclose(single, alone.predict(unsure[:1]).probabilities, atol=1e-6)


def test_transductive_episodes_together_are_as_each_alone():
    supports = [support_of(LABELS, seed) for seed in (1, 2)]
    queries = np.stack([cloud(QUERY_LABELS, seed=s, spread=1.0) for s in (5, 6)])
    settings = Settings(transductive=True)
    method = METHODS["finetune"](ENCODER, settings)
    together = method.predict_batch(batch_of(supports), torch.from_numpy(queries))
    for support, x, probabilities in zip(supports, queries, together, strict=True):
        alone = METHODS["finetune"](ENCODER, settings).fit(support, x).predict(x)
        np.testing.assert_allclose(probabilities.numpy(), alone.probabilities, atol=1e-5)


def test_with_the_queries_the_softmax_is_less_sharp_while_learning_and_answering():
    support, unsure = support_of(LABELS), cloud(QUERY_LABELS, seed=9, spread=1.0)

    def answers(temperature: float, factor: float) -> np.ndarray:
        settings = Settings(transductive=True, temperature=temperature)
        with trying("finetune-transductive", Plan(50, 0.05, temperature_factor=factor)):
            fitted = METHODS["finetune"](ENCODER, settings).fit(support, unsure)
            return fitted.predict(unsure).probabilities

    half = answers(8.0, 1.0)
    np.testing.assert_array_equal(answers(16.0, 0.5), half)
    assert abs(half - answers(16.0, 1.0)).max() > 0.01
