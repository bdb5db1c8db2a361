"""Every method side by side, on the shipped encoders."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_clip import write_tiny_clip

from fewshot.compare import COMPARED, NEIGHBOURS, compare, fit
from fewshot.embedding_cache import EmbeddingCache
from fewshot.encoders import get_encoder
from fewshot.examples import example_task
from fewshot.examples_letters import LETTER_TASKS
from fewshot.methods import METHODS, Settings
from fewshot.metrics import normalise
from fewshot.presets import get_preset
from fewshot.prompts import templates
from fewshot.report import as_csv, as_json
from fewshot.types import InputError, Picture, SupportSet

DRAWN = ("siamese", "triplet", "finetune", "prototype")


@pytest.fixture(scope="module")
def no_clip():
    """No CLIP model on this machine, whatever is in its cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CLIP", "/no/such/model")
        yield


@pytest.fixture(scope="module")
def task():
    return example_task("alphabet")


@pytest.fixture(scope="module")
def comparison(task, no_clip):
    return compare(task.support, task.queries)


def test_methods_without_weights_do_not_keep_the_others_from_answering(comparison):
    assert list(comparison.results) == ["siamese", "triplet", "finetune"]
    assert list(comparison.unavailable) == ["clip", "clip-adapter"]
    assert "/no/such/model" in comparison.unavailable["clip"]


def test_the_shipped_encoders_know_the_invented_alphabet(comparison, task):
    for name, result in comparison.results.items():
        assert result.prediction.labels == list(task.answers), name


@pytest.mark.parametrize("name", sorted(recipe.key for recipe in LETTER_TASKS))
def test_every_task_of_letters_is_answered_well_above_chance(name, no_clip):
    example = example_task(name)
    answers = compare(example.support, example.queries, methods=DRAWN).results
    for method, result in answers.items():
        right = np.mean(
            [a == b for a, b in zip(result.prediction.labels, example.answers, strict=True)]
        )
        assert right >= 0.6, (name, method, right)  # chance is 0.2


def test_neighbours_equal_brute_force(comparison, task):
    encoder = get_encoder("drawings-triplet")
    support = normalise(encoder.embed(task.support.pictures))
    queries = normalise(encoder.embed(task.queries))
    for query, neighbours in zip(queries, comparison.results["triplet"].neighbours, strict=True):
        similarities = support @ query
        order = np.argsort(-similarities)[:NEIGHBOURS]
        assert [n.position for n in neighbours] == order.tolist()
        np.testing.assert_allclose(
            [n.similarity for n in neighbours], similarities[order], atol=1e-5
        )
        for n in neighbours:
            assert n.file == task.support.pictures[n.position].name
            assert n.label == task.support.classes[task.support.labels[n.position]]


def test_each_picture_is_embedded_once_per_encoder(task, no_clip, monkeypatch):
    counts: dict[str, list[int]] = {}
    for name in ("drawings-siamese", "drawings-triplet", "drawings-prototype"):
        encoder = get_encoder(name)
        counts[name] = []

        def counting(pictures, original=encoder.embed, seen=counts[name]):
            seen.append(len(pictures))
            return original(pictures)

        monkeypatch.setattr(encoder, "embed", counting)
    cache = EmbeddingCache()
    fitted = fit(task.support, methods=DRAWN, cache=cache)
    fitted.classify(task.queries, cache)
    fit(task.support, methods=DRAWN, cache=cache).classify(task.queries, cache)
    n, q = len(task.support.pictures), len(task.queries)
    assert counts == {name: [n, q] for name in counts}


def test_duplicate_pictures_and_a_query_from_the_support(task, no_clip):
    first = task.support.pictures[0]
    support = SupportSet(
        task.support.classes[:2], (first, first, task.support.pictures[5]), np.array([0, 0, 1])
    )
    answer = compare(support, [first], methods=DRAWN)
    for result in answer.results.values():
        assert result.prediction.labels == [task.support.classes[0]]
        assert result.neighbours[0][0].similarity == pytest.approx(1, abs=1e-5)


def test_a_blank_picture_gets_an_answer(task, no_clip):
    blank = Picture("blank.png", np.full((50, 50, 3), 255, np.uint8))
    answer = compare(task.support, [blank], methods=(*DRAWN, "pixels"))
    for result in answer.results.values():
        assert np.isfinite(result.prediction.probabilities).all()


def test_photos_share_one_tower(tmp_path_factory, task):
    model = str(write_tiny_clip(tmp_path_factory.mktemp("clip")))
    answer = compare(task.support, task.queries, "photos", (*COMPARED, "prototype"), model=model)
    assert not answer.unavailable
    assert list(answer.results) == [*COMPARED, "prototype"]
    # One space for all but triplet, which learns one of its own.
    same = [
        [[(n.file, n.label, n.similarity) for n in near] for near in r.neighbours]
        for name, r in answer.results.items()
        if name != "triplet"
    ]
    assert all(neighbours == same[0] for neighbours in same)
    for result in answer.results.values():
        evidence = result.prediction.evidence
        for query, near in enumerate(result.neighbours):
            told = None if evidence is None else [float(evidence[query, n.position]) for n in near]
            assert [n.measure for n in near] == (told or [None] * len(near))
    triplet = answer.results["triplet"]
    for neighbours, evidence in zip(triplet.neighbours, triplet.prediction.evidence, strict=True):
        places = [n.position for n in neighbours]
        np.testing.assert_array_equal(evidence[places], np.sort(evidence)[::-1][:NEIGHBOURS])
        similarities = [n.similarity for n in neighbours]
        np.testing.assert_allclose(evidence[places], np.multiply(similarities, 2) - 2, atol=1e-5)
    assert set(answer.sources.values()) == {f"open_clip, {model}"} and answer.cautions == ()


def test_without_another_clip_the_embedded_one_answers_and_says_so(task, monkeypatch, tmp_path):
    monkeypatch.delenv("FEWSHOT_CLIP", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    answer = compare(task.support, task.queries, "photos")
    assert not answer.unavailable
    assert set(answer.sources.values()) == {"open_clip, embedded"}
    (caution,) = answer.cautions
    assert "small embedded model" in caution and "mean little" in caution


def test_a_transductive_method_is_fitted_anew_for_each_set_of_queries():
    hard = example_task("look-alikes")
    settings = Settings(transductive=True, entropy_weight=2.0, temperature=3.0)
    fitted = fit(hard.support, methods=("finetune",), settings=settings, cache=EmbeddingCache())

    def answers(queries) -> np.ndarray:
        return fitted.classify(queries).results["finetune"].prediction.probabilities

    together, alone = answers(hard.queries), answers(hard.queries[:1])
    np.testing.assert_array_equal(answers(hard.queries), together)
    np.testing.assert_array_equal(answers(hard.queries[:1]), alone)
    assert np.abs(together[:1] - alone).max() > 1e-4


def test_names_alone_are_enough_for_clip(tmp_path_factory, task):
    model = str(write_tiny_clip(tmp_path_factory.mktemp("clip")))
    names = SupportSet(("cat", "dog"), (), np.zeros(0, np.int64))
    answer = compare(names, task.queries, "photos", model=model)
    assert list(answer.results) == ["clip"]
    assert answer.results["clip"].neighbours == ((),) * len(task.queries)
    assert "“cat”" in answer.unavailable["siamese"]


def test_photos_without_clip_says_what_to_do(task, no_clip):
    with pytest.raises(InputError, match="/no/such/model"):
        compare(task.support, task.queries, "photos")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"preset": "sculptures"}, "sculptures"),
        ({"methods": ("siamese", "voodoo")}, "voodoo"),
        ({"queries": ()}, "query"),
        ({"methods": ()}, "at least one method"),
    ],
)
def test_bad_arguments_are_refused(task, no_clip, arguments, named):
    with pytest.raises(InputError, match=named):
        compare(**({"support_set": task.support, "queries": task.queries} | arguments))


def test_a_presets_settings_are_the_defaults_with_its_templates():
    preset = get_preset("photos")
    assert preset.settings() == Settings(templates=templates("photo"))
    assert preset.settings(steps=3) == Settings(templates=templates("photo"), steps=3)
    assert preset.settings(templates=("{}",)) == Settings(templates=("{}",))


def test_agreement(comparison):
    assert comparison.agree(0)
    votes = comparison.votes(0)
    assert list(votes.values()) == [["siamese", "triplet", "finetune"]]
    flipped = comparison.results["triplet"]
    other = replace(flipped.prediction, probabilities=1 - flipped.prediction.probabilities)
    results = comparison.results | {"triplet": replace(flipped, prediction=other)}
    changed = replace(comparison, results=results)
    assert not changed.agree(0)
    assert sorted(map(len, changed.votes(0).values())) == [1, 2]


def test_json_has_the_promised_shape(comparison, task):
    report = json.loads(json.dumps(as_json(comparison)))
    parts = ["classes", "queries", "unavailable", "encoders", "cautions", "without_ink"]
    parts.append("left_out")
    assert list(report) == parts
    assert report["classes"] == list(task.support.classes)
    assert [query["file"] for query in report["queries"]] == [q.name for q in task.queries]
    for query, answer in zip(report["queries"], task.answers, strict=True):
        for name, prediction in query["predictions"].items():
            assert name in METHODS
            assert set(prediction) == {"label", "probabilities", "milliseconds", "neighbours"}
            assert prediction["label"] == answer
            assert list(prediction["probabilities"]) == report["classes"]
            assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)
            assert prediction["milliseconds"] > 0
            assert set(prediction["neighbours"][0]) == {"file", "class", "similarity"}


def test_csv_holds_the_same_numbers(comparison):
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    report = as_json(comparison)
    assert len(rows) == len(report["queries"]) * 3 * 5
    for row in rows:
        query = next(q for q in report["queries"] if q["file"] == row["query"])
        expected = query["predictions"][row["method"]]["probabilities"][row["class"]]
        assert float(row["probability"]) == pytest.approx(expected, abs=1e-6)
    for number in range(0, len(rows), 5):  # the most probable first
        of_one = rows[number : number + 5]
        assert [row["rank"] for row in of_one] == ["1", "2", "3", "4", "5"]
        shares = [float(row["probability"]) for row in of_one]
        assert shares == sorted(shares, reverse=True) and shares[0] > shares[-1]


def test_csv_cells_cannot_be_formulas(task, no_clip):
    classes = ("=SUM(A1)", *task.support.classes[1:])
    support = replace(task.support, classes=classes)
    answer = compare(support, task.queries[:1], methods=("prototype",))
    assert "'=SUM(A1)" in as_csv(answer) and ",=SUM" not in as_csv(answer)


def test_pictures_without_a_drawing_are_named(task, no_clip):
    blank = Picture("blank.png", np.full((40, 60, 3), 255, np.uint8))
    support = replace(
        task.support, pictures=(*task.support.pictures[:-1], replace(blank, name="x/0.png"))
    )
    inked = replace(task.queries[0], name="blank.png")  # names are not unique
    answers = compare(support, [inked, task.queries[1], blank])
    assert answers.without_ink == (("x/0.png", None), ("blank.png", 2))
    assert [answers.is_blank(query) for query in range(3)] == [False, False, True]
    assert as_json(answers)["without_ink"] == ["x/0.png", "blank.png"]
    assert compare(task.support, task.queries[:2]).without_ink == ()
