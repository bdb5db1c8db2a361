"""Evaluation: the same numbers as a loop that embeds every episode by hand."""

from __future__ import annotations

import numpy as np
import pytest
from omniglot_tree import write_omniglot_tree
from tiny_clip import write_tiny_clip

from fewshot.data.class_tree import load_class_tree
from fewshot.data.lake import load_lake
from fewshot.data.omniglot import load_omniglot
from fewshot.encoders import get_encoder
from fewshot.episodes import Protocol, draw_episodes, names_episode
from fewshot.evaluation import evaluate
from fewshot.methods import METHODS, Settings
from fewshot.metrics import mean_interval
from fewshot.types import InputError, Support


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_omniglot_tree(root, alphabets=2, characters=6, drawers=6, split="images_evaluation")
    return root


@pytest.fixture(scope="module")
def pool(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(folder / "cache"))
        return load_omniglot("evaluation", folder).pool()


def episodes_of(pool):
    return list(draw_episodes(pool.labels, Protocol(5, 2, 2), 12, 0, pool.groups))


def by_hand(name, pool, episodes):
    """Accuracy of each episode, from pictures, one episode at a time."""
    encoders = {"pixels": "pixels", "siamese": "drawings-siamese", "triplet": "drawings-triplet"}
    encoder = get_encoder(encoders.get(name, "drawings-prototype"))
    values = []
    for episode in episodes:
        shown = [pool.pictures[i] for i in episode.support]
        method = METHODS[name](encoder, Settings())
        support = Support(
            tuple(pool.classes[c] for c in episode.classes),
            episode.support_labels,
            encoder.embed(shown),
            encoder.embed_views(shown, method.n_views) if method.n_views else None,
        )
        method.fit(support)
        answers = method.predict(encoder.embed([pool.pictures[i] for i in episode.queries])).labels
        truth = [pool.classes[c] for c in episode.classes[episode.query_labels]]
        values.append(np.mean([a == t for a, t in zip(answers, truth, strict=True)]))
    return values


@pytest.mark.parametrize("name", ["pixels", "siamese", "triplet", "prototype", "finetune"])
def test_equals_episodes_done_by_hand(pool, name):
    episodes = episodes_of(pool)
    result = evaluate(pool, episodes, [name])
    expected = by_hand(name, pool, episodes)
    np.testing.assert_allclose(result.correct[name], expected, atol=1e-9)
    score = result.scores[0]
    assert (score.accuracy, score.ci95) == pytest.approx(mean_interval(expected))
    assert (score.method, score.episodes, score.queries) == (name, 12, 12 * 5 * 2)
    assert score.top5 == 1.0  # of five classes


def test_same_seed_same_numbers(pool):
    runs = [evaluate(pool, episodes_of(pool), ["siamese", "finetune"]) for _ in range(2)]
    for name in runs[0].correct:
        np.testing.assert_array_equal(runs[0].correct[name], runs[1].correct[name])


def test_json(pool):
    report = evaluate(pool, episodes_of(pool), ["pixels", "prototype"]).as_json({"ways": 5})
    assert report["protocol"]["ways"] == 5
    assert set(report["protocol"]["checkpoints"]) == {"prototype"}  # pixels have no weights
    assert len(report["protocol"]["checkpoints"]["prototype"]) == 64
    for result in report["results"]:
        assert {"method", "accuracy", "ci95", "episodes", "queries", "episodes_per_second"} <= set(
            result
        )
        assert 0 <= result["accuracy"] <= 1


def test_names_alone(pool, tmp_path):
    model = str(write_tiny_clip(tmp_path / "clip"))
    result = evaluate(pool, [names_episode(pool.labels)], ["clip"], "photos", model=model)
    encoder = get_encoder("clip", model)
    images = encoder.embed(pool.pictures)
    templates = ["a photo of a {}.", "a close-up photo of a {}.", "a photo of the {}."]
    templates.append("a picture of a {}.")
    texts = [encoder.embed_texts([t.format(c) for t in templates]).mean(0) for c in pool.classes]
    cosines = images @ np.stack([t / np.linalg.norm(t) for t in texts]).T
    hits = cosines.argmax(1) == pool.labels
    assert result.scores[0].accuracy == pytest.approx(hits.mean())
    assert result.scores[0].queries == len(pool.labels)
    ranks = (cosines > cosines[np.arange(len(hits)), pool.labels][:, None]).sum(1)
    assert result.scores[0].top5 == pytest.approx((ranks < 5).mean())


def test_methods_that_need_pictures_refuse_none(pool):
    with pytest.raises(InputError, match="siamese needs at least 1 shot"):
        evaluate(pool, [names_episode(pool.labels)], ["siamese"])


def test_lake_runs(tmp_path, pool):
    """A run built here, answers known: the file pairs item with class, in any order."""
    from PIL import Image

    for run, shift in (("run01", 0), ("run02", 3)):
        (tmp_path / run / "training").mkdir(parents=True)
        (tmp_path / run / "test").mkdir()
        lines = []
        for i in range(4):
            pictures = [
                p for p, c in zip(pool.pictures, pool.labels, strict=True) if c == i + shift
            ]
            item = (3 - i) + 1  # test items are in another order than their classes
            for kind, number, picture in (("training/class", i + 1, 0), ("test/item", item, 1)):
                Image.fromarray(np.ascontiguousarray(pictures[picture].pixels)).save(
                    tmp_path / run / f"{kind}{number:02d}.png"
                )
            lines.append(f"{run}/test/item{item:02d}.png {run}/training/class{i + 1:02d}.png")
        (tmp_path / run / "class_labels.txt").write_text("\n".join(lines) + "\n")
    lake, episodes = load_lake(tmp_path)
    assert len(episodes) == 2 and len(lake.pictures) == 16
    for shift, episode in zip((0, 3), episodes, strict=True):
        for query, label in zip(episode.queries, episode.query_labels, strict=True):
            original = [
                p for p, c in zip(pool.pictures, pool.labels, strict=True) if c == label + shift
            ]
            np.testing.assert_array_equal(lake.pictures[query].pixels, original[1].pixels)
            shown = lake.pictures[episode.support[label]].pixels
            np.testing.assert_array_equal(shown, original[0].pixels)
    assert evaluate(lake, episodes, ["prototype"]).scores[0].queries == 8

    (tmp_path / "run02" / "class_labels.txt").write_text("run02/test/item01.png nothing.png\n")
    with pytest.raises(InputError, match=r"nothing\.png"):
        load_lake(tmp_path)
    (tmp_path / "run02" / "class_labels.txt").unlink()
    with pytest.raises(InputError, match="class_labels"):
        load_lake(tmp_path)
    with pytest.raises(InputError, match="run01"):
        load_lake(tmp_path / "run01")


def test_any_tree_of_class_folders(folder):
    alphabet = sorted((folder / "images_evaluation").iterdir())[0]
    pool, skipped = load_class_tree(alphabet)
    assert len(pool.classes) == 6 and len(pool.pictures) == 36 and not skipped
    np.testing.assert_array_equal(pool.labels, np.arange(6).repeat(6))
    assert all(
        p.name.startswith(pool.classes[c]) for p, c in zip(pool.pictures, pool.labels, strict=True)
    )
    with pytest.raises(InputError):
        load_class_tree(folder / "nowhere")


def test_paired_differences_are_over_episodes(pool):
    result = evaluate(pool, episodes_of(pool), ["prototype", "pixels"], against="prototype")
    gaps = result.correct["pixels"] - result.correct["prototype"]
    by_name = {score.method: score for score in result.scores}
    assert by_name["prototype"].difference is None
    assert by_name["pixels"].difference == pytest.approx(
        (gaps.mean(), 1.96 * gaps.std(ddof=1) / np.sqrt(len(gaps)))
    )
    with pytest.raises(InputError, match="siamese"):
        evaluate(pool, episodes_of(pool), ["prototype"], against="siamese")
