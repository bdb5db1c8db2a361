"""Evaluation: the same numbers as a loop that embeds every episode by hand."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import png
from omniglot_tree import write_omniglot_tree
from tiny_clip import write_tiny_clip

from fewshot.cli import main
from fewshot.data.class_tree import load_class_tree
from fewshot.data.invented import invented_alphabet
from fewshot.data.lake import load_lake
from fewshot.data.omniglot import load_omniglot
from fewshot.encoders import get_encoder
from fewshot.episodes import Protocol, draw_episodes, names_episode
from fewshot.evaluation import Evaluator
from fewshot.evaluation_results import Evaluation, MethodScore, as_csv
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
    return draw_episodes(pool.labels, Protocol(5, 2, 2), 12, 0, pool.groups)


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
    result = Evaluator(pool, [name]).run(episodes)
    expected = by_hand(name, pool, episodes)
    np.testing.assert_allclose(result.accuracies[name], expected, atol=1e-9)
    score = result.scores[0]
    mean, half = mean_interval(expected)
    if mean == 1:  # no spread: what error would still leave all of them right one time in twenty
        different = len({i for episode in episodes for i in episode.queries})
        half = next(e / 1e6 for e in range(10**6) if (1 - e / 1e6) ** different < 0.05)
    assert (score.accuracy, score.ci95) == pytest.approx((mean, half), abs=1e-5)
    assert (score.method, score.episodes, score.queries) == (name, 12, 12 * 5 * 2)
    assert score.top5 == 1.0  # of five classes


def test_same_seed_same_numbers(pool):
    runs = [Evaluator(pool, ["siamese", "finetune"]).run(episodes_of(pool)) for _ in range(2)]
    for name in runs[0].accuracies:
        np.testing.assert_array_equal(runs[0].accuracies[name], runs[1].accuracies[name])


def test_json(pool):
    report = Evaluator(pool, ["pixels", "prototype"]).run(episodes_of(pool)).as_json({"ways": 5})
    assert report["protocol"]["ways"] == 5
    assert set(report["protocol"]["checkpoints"]) == {"prototype"}  # pixels have no weights
    assert len(report["protocol"]["checkpoints"]["prototype"]) == 64
    for result in report["results"]:
        assert {"method", "accuracy", "ci95", "episodes", "queries", "episodes_per_second"} <= set(
            result
        )
        assert 0 <= result["accuracy"] <= 1 and result["episodes_per_second"] > 0


def test_names_alone(pool, tmp_path):
    model = str(write_tiny_clip(tmp_path / "clip"))
    evaluator = Evaluator(pool, ["clip"], "photos", model=model)
    result = evaluator.run(names_episode(pool.labels))
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
        Evaluator(pool, ["siamese"]).run(names_episode(pool.labels))


def test_lake_runs(tmp_path, pool, capsys):
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
    # Each run has classes of its own.
    first, second = episodes
    assert first.classes.tolist() == [0, 1, 2, 3] and second.classes.tolist() == [4, 5, 6, 7]
    for episode in episodes:
        assert (lake.labels[episode.support] == episode.classes).all()
        assert (lake.labels[episode.queries] == episode.classes[episode.query_labels]).all()
    assert lake.classes[5] == "run02/training/class02.png"
    assert Evaluator(lake, ["prototype"]).run(episodes).scores[0].queries == 8
    told = tmp_path / "told.json"
    command = ["evaluate", "--dataset", "lake", "--data", str(tmp_path), "--json", str(told)]
    assert main(command) == 0
    assert capsys.readouterr().out.count("2 episodes, 8 queries") == 5
    protocol = json.loads(told.read_text("utf-8"))["protocol"]
    assert (protocol["ways"], protocol["shots"]) == (4, 1)

    (tmp_path / "run02" / "class_labels.txt").write_text("run02/test/item01.png nothing.png\n")
    with pytest.raises(InputError, match=r"nothing\.png"):
        load_lake(tmp_path)
    (tmp_path / "run02" / "class_labels.txt").write_text("\n")
    with pytest.raises(InputError, match="4 training pictures and 0 labelled test items"):
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
    evaluator = Evaluator(pool, ["prototype", "pixels"], against="prototype")
    result = evaluator.run(episodes_of(pool))
    gaps = result.accuracies["pixels"] - result.accuracies["prototype"]
    by_name = {score.method: score for score in result.scores}
    assert by_name["prototype"].difference is None
    assert len(gaps) == 12  # Student's t of 11 degrees of freedom
    assert by_name["pixels"].difference == pytest.approx(
        (gaps.mean(), 2.20099 * gaps.std(ddof=1) / np.sqrt(len(gaps))), rel=1e-5
    )
    with pytest.raises(InputError, match="siamese"):
        Evaluator(pool, ["prototype"], against="siamese")


def test_stopping_early_leaves_the_figures_so_far_of_the_same_episodes(pool, monkeypatch):
    monkeypatch.setattr("fewshot.episodes.EPISODES_AT_ONCE", 4)
    evaluator = Evaluator(pool, ["prototype", "pixels"])
    embedded = evaluator.embed([episodes_of(pool)])
    steps = list(evaluator.steps(episodes_of(pool), embedded))
    assert [step.scores[0].episodes for step in steps] == [4, 8, 12]
    for name in ("prototype", "pixels"):
        np.testing.assert_array_equal(steps[0].accuracies[name], steps[-1].accuracies[name][:4])
    assert steps[-1].scores[0].accuracy == pytest.approx(steps[-1].accuracies["prototype"].mean())


def test_protocols_share_their_embeddings(pool, monkeypatch):
    evaluator = Evaluator(pool, ["prototype"])
    protocols = [Protocol(ways, 1, 1) for ways in (3, 5)]
    drawn = [draw_episodes(pool.labels, protocol, 6, 0) for protocol in protocols]
    embedded = evaluator.embed(drawn)
    encoder = type(get_encoder("drawings-prototype"))
    monkeypatch.setattr(encoder, "embed", None)  # from here on nothing is to be embedded
    for episodes in drawn:
        *_, last = evaluator.steps(episodes, embedded)
        assert last.scores[0].episodes == 6


def test_embeddings_on_disk_are_found_again_by_content(pool, monkeypatch, tmp_path):
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    first = Evaluator(pool, ["finetune"], on_disk=True).run(episodes_of(pool))
    assert len(list(tmp_path.glob("embeddings-*.npy"))) == 2  # pictures, and views
    encoder = type(get_encoder("drawings-prototype"))
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "embed", None)
        patch.setattr(encoder, "embed_views", None)
        again = Evaluator(pool, ["finetune"], on_disk=True).run(episodes_of(pool))
    np.testing.assert_array_equal(first.accuracies["finetune"], again.accuracies["finetune"])
    for kept in tmp_path.glob("embeddings-*.npy"):
        kept.write_bytes(kept.read_bytes()[:100])  # as a full disk leaves it
    mended = Evaluator(pool, ["finetune"], on_disk=True).run(episodes_of(pool))
    np.testing.assert_array_equal(first.accuracies["finetune"], mended.accuracies["finetune"])
    monkeypatch.setattr("fewshot.embedded_pool.precision_name", lambda device: "another")
    Evaluator(pool, ["finetune"], on_disk=True).run(episodes_of(pool))
    assert len(list(tmp_path.glob("embeddings-*.npy"))) == 4
    monkeypatch.undo()
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    other = replace(pool, pictures=pool.pictures[::-1], labels=pool.labels[::-1])
    Evaluator(other, ["finetune"], on_disk=True).run(episodes_of(other))
    assert len(list(tmp_path.glob("embeddings-*.npy"))) == 6


def test_drawings_encoders_are_never_tuned_to_an_episode(pool, monkeypatch):
    monkeypatch.setattr("fewshot.evaluation.tuned_answers", None)  # calling it would fail
    settings = Settings(last_block=True)
    tuned = Evaluator(pool, ["finetune"], settings=settings).run(episodes_of(pool))
    plain = Evaluator(pool, ["finetune"]).run(episodes_of(pool))
    np.testing.assert_array_equal(tuned.accuracies["finetune"], plain.accuracies["finetune"])


def test_settings_are_every_method_s(pool):
    episodes = episodes_of(pool)
    (score,) = (
        Evaluator(pool, ["prototype"], settings=Settings(temperature=0.001)).run(episodes).scores
    )
    # All answers are about as sure as chance, so what they are off by is what they are right above.
    assert score.accuracy > 0.5
    assert score.calibration_error == pytest.approx(score.accuracy - 1 / 5, abs=1e-3)


def test_an_interval_that_one_episode_has_none_of_is_null(pool):
    episodes = draw_episodes(pool.labels, Protocol(5, 2, 2), 1, 0)
    run = Evaluator(pool, ["prototype", "pixels"], against="prototype").run(episodes)
    report = json.loads(json.dumps(run.as_json({}), allow_nan=False))
    mean, half = report["results"][1]["difference"]
    assert mean == run.scores[1].accuracy - run.scores[0].accuracy
    assert half is None


def test_what_is_the_same_in_all_episodes_is_noticed():
    accuracies = {"a": np.array([0.5, 0.75]), "b": np.array([0.25, 0.5]), "c": np.array([1.0, 0.9])}
    score = MethodScore("a", 0.6, 0.1, 2, 8, 9.0, 1.0, 0.0)
    others = [replace(score, method=name, against="c") for name in ("a", "b")]
    assert not Evaluation([*others, replace(score, method="c")], {}, accuracies).alike
    # A quarter apart in both.
    assert Evaluation([others[0], replace(others[1], against="a")], {}, accuracies).alike
    assert Evaluation([score], {}, {"a": np.array([0.25, 0.25])}).alike
    assert not Evaluation([score], {}, {"a": np.array([0.25])}).alike  # one episode has no others


def test_csv_has_a_line_for_each_result(pool):
    evaluator = Evaluator(pool, ["prototype", "pixels"], against="prototype")
    result = evaluator.run(episodes_of(pool))
    lines = list(csv.DictReader(io.StringIO(as_csv([({"ways": 5, "shots": 2}, result)]))))
    assert [line["method"] for line in lines] == ["prototype", "pixels"]
    assert float(lines[1]["accuracy"]) == pytest.approx(result.scores[1].accuracy)
    assert float(lines[1]["difference"]) == pytest.approx(result.scores[1].difference[0])
    assert (lines[0]["difference"], lines[0]["ways"], lines[0]["shots"]) == ("", "5", "2")
    protocol = {"ways": 5, "shots": 2, "dataset": "=a.zip", "seed": 3, "preset": "drawings"}
    runs = [(protocol, result), (protocol, result)]
    lines = list(csv.DictReader(io.StringIO(as_csv(runs, stopped=True))))
    assert [line["stopped"] for line in lines] == ["False", "False", "True", "True"]
    assert all((line["dataset"], line["seed"]) == ("'=a.zip", "3") for line in lines)
    assert lines[0]["split"] == ""  # none is told of
    ranged = as_csv([({"ways": 5, "shots": (1, 3)}, result)]).splitlines()
    assert all(line.startswith("5,1-3,") for line in ranged[1:])


def test_an_encoder_tuned_to_each_episode_is_told_of_after_each(pool, monkeypatch):
    guess = np.eye(5, dtype=np.float32)[np.zeros(10, int)]
    monkeypatch.setattr(METHODS["prototype"], "tunes_encoder", True)
    monkeypatch.setattr("fewshot.evaluation.tuned_answers", lambda *_: guess)
    evaluator = Evaluator(pool, ["prototype"])
    steps = evaluator.steps(episodes_of(pool), evaluator.embed([episodes_of(pool)]))
    assert [step.scores[0].episodes for step in steps] == list(range(1, 13))


@pytest.mark.parametrize(
    ("name", "preset", "most"),
    [("triplet", "photos", 16), ("siamese", "photos", 64), ("maml", "drawings", 16)],
)
def test_slow_methods_get_few_tasks_at_once(name, preset, most, monkeypatch):
    """So that a run can be stopped; where they learn nothing they are not slow."""
    evaluator = Evaluator(invented_alphabet(), [name], preset, model="embedded")
    drawn = draw_episodes(evaluator.pool.labels, Protocol(5, 1, 1), 100, 0)
    sizes = []

    def answers(method, batch, embedded):
        sizes.append(len(batch))
        return torch.full((len(batch), batch.queries.shape[1], 5), 0.2)

    monkeypatch.setattr("fewshot.evaluation._answers", answers)
    list(evaluator.steps(drawn, None))
    assert max(sizes) == most and sum(sizes) == 100
    assert METHODS["triplet"](get_encoder("drawings-triplet")).most_at_once > 10**6


def test_a_batch_holds_no_more_than_fits(pool, monkeypatch):
    sizes = []

    def answers(method, batch, embedded):
        sizes.append(len(batch))
        return torch.full((len(batch), batch.queries.shape[1], 5), 0.2)

    monkeypatch.setattr("fewshot.evaluation._answers", answers)
    episodes = episodes_of(pool)  # 12 of 5-way 2-shot, 2 queries a class
    evaluator = Evaluator(pool, ["finetune", "pixels"])
    dim, views = get_encoder("drawings-prototype").dim, METHODS["finetune"].n_views
    roomiest = 4 * max(dim * (10 * (1 + views) + 10), 105 * 105 * (10 + 10))
    monkeypatch.setattr("fewshot.evaluation.BYTES_AT_ONCE", 5 * roomiest)
    list(evaluator.steps(episodes, None))
    assert sizes == [5, 5, 5, 5, 2, 2]
    sizes.clear()
    monkeypatch.setattr("fewshot.evaluation.BYTES_AT_ONCE", 1)
    list(evaluator.steps(episodes, None))
    assert sizes == [1] * 24


def test_figures_come_seldomer_the_more_episodes_there_are(pool, monkeypatch):
    monkeypatch.setattr("fewshot.evaluation.TOLD_AGAIN", 2)
    monkeypatch.setattr("fewshot.episodes.EPISODES_AT_ONCE", 1)
    evaluator = Evaluator(pool, ["pixels"])
    steps = evaluator.steps(episodes_of(pool), evaluator.embed([episodes_of(pool)]))
    assert [step.scores[0].episodes for step in steps] == [1, 2, 4, 8, 12]


def test_a_tree_has_each_picture_once(folder, tmp_path):
    shutil.copytree(sorted((folder / "images_evaluation").iterdir())[0], tmp_path / "twice")
    first, second = sorted((tmp_path / "twice").iterdir())[:2]
    shutil.copy(next(iter(sorted(first.iterdir()))), second / "copy.png")
    pool, skipped = load_class_tree(tmp_path / "twice")
    assert len({picture.digest for picture in pool.pictures}) == len(pool.pictures)
    (sentence,) = skipped
    assert "copy.png' is the same picture as" in sentence
    twice = tmp_path / "twice.zip"
    with zipfile.ZipFile(twice, "w") as archive:  # which can hold a name twice
        for glyph, label in enumerate("ab"):
            archive.writestr(f"{label}/1.png", png(glyph, 1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("b/1.png", png(1, 1))
    pool, skipped = load_class_tree(twice)
    assert len(pool.pictures) == 2 and "'b/1.png' is the same picture as" in skipped[0]


def test_a_cache_that_cannot_be_written_costs_time_only(pool, monkeypatch, tmp_path):
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    full = OSError("No space left on device")
    monkeypatch.setattr("fewshot.embedded_pool.write_atomically", Mock(side_effect=full))
    result = Evaluator(pool, ["prototype"], on_disk=True).run(episodes_of(pool))
    assert result.scores[0].episodes == 12


def test_a_class_of_others_pictures_alone_is_none(tmp_path):
    for name, drawers in {"a": (1, 2), "b": (1, 2), "c": (3, 4)}.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        for drawer in drawers:
            (tmp_path / "set" / name / f"{drawer}.png").write_bytes(png(5, drawer))
    pool, skipped = load_class_tree(tmp_path / "set")
    assert pool.classes == ("a", "c") and pool.labels.tolist() == [0, 0, 1, 1]
    assert len(skipped) == 3 and skipped[2].startswith("'b' makes no class")
    shutil.rmtree(tmp_path / "set" / "c")
    with pytest.raises(InputError, match="of 2 classes only 'a' is left with any"):
        load_class_tree(tmp_path / "set")
