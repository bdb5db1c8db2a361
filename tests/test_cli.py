"""The command line, end to end, as a person types it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from omniglot_tree import write_omniglot_tree
from PIL import Image
from tiny_clip import write_tiny_clip

from fewshot.cli import main
from fewshot.cli.arguments import output_path, write_json, write_text
from fewshot.cli.train import duration
from fewshot.compare import COMPARED, compare
from fewshot.evaluation import Evaluator
from fewshot.examples import example_task

ROOT = Path(__file__).parents[1]
NAMES_ALONE = ["--dataset", "invented", "--methods", "clip", "--ways", "all", "--shots", "0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("omniglot")
    write_omniglot_tree(root, alphabets=5, characters=4, drawers=6)
    write_omniglot_tree(
        root, alphabets=2, characters=6, drawers=6, split="images_evaluation", seed=1
    )
    return root


@pytest.fixture(scope="module")
def support_zip(tmp_path_factory):
    """The invented alphabet as a person would zip it, with one file that is no picture."""
    path = tmp_path_factory.mktemp("zip") / "letters.zip"
    task = example_task("alphabet")
    with zipfile.ZipFile(path, "w") as archive:
        for picture, label in zip(task.support.pictures, task.support.labels, strict=True):
            name = task.support.classes[label]
            archive.writestr(f"letters/{name}/{Path(picture.name).name}", png(picture.pixels))
        archive.writestr(f"letters/{task.support.classes[0]}/notes.txt", "not a picture")
    return path


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FEWSHOT_CLIP", "/no/such/model")


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def queries_of(folder: Path) -> list[str]:
    paths = []
    for query in example_task("alphabet").queries:
        path = folder / query.name
        path.write_bytes(png(query.pixels))
        paths.append(str(path))
    return paths


def refused(capsys, *arguments: str) -> str:
    """Run a command that must fail; returns its one line on stderr."""
    try:
        code = main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert len(lines) == 1, lines
    return lines[0]


def test_classify(support_zip, tmp_path, capsys):
    output = tmp_path / "out.json"
    queries = queries_of(tmp_path)
    code = main(
        ["classify", "--support", str(support_zip), "--query", *queries, "--json", str(output)]
    )
    assert code == 0
    assert "notes.txt" in capsys.readouterr().err  # reported by name, the rest kept
    report = json.loads(output.read_text())
    assert len(report["left_out"]) == 1 and "notes.txt" in report["left_out"][0]
    task = example_task("alphabet")
    assert sorted(report["classes"]) == sorted(task.support.classes)
    assert [q["file"] for q in report["queries"]] == [q.name for q in task.queries]
    assert "/no/such/model" in report["unavailable"]["clip"]
    direct = compare(task.support, task.queries)
    for i, (query, answer) in enumerate(zip(report["queries"], task.answers, strict=True)):
        assert set(query["predictions"]) == {"siamese", "triplet", "finetune"}
        for name, prediction in query["predictions"].items():
            assert prediction["label"] == answer
            for j, label in enumerate(direct.classes):
                expected = direct.results[name].prediction.probabilities[i, j]
                assert prediction["probabilities"][label] == pytest.approx(expected, abs=1e-5)


def test_classify_prints_json_without_a_file(support_zip, tmp_path, capsys):
    assert (
        main(["classify", "--support", str(support_zip), "--query", queries_of(tmp_path)[0]]) == 0
    )
    assert json.loads(capsys.readouterr().out)["queries"][0]["file"] == "query-1.png"


def test_classify_with_a_local_clip(support_zip, tmp_path, capsys):
    model = str(write_tiny_clip(tmp_path / "clip"))
    arguments = ["classify", "--support", str(support_zip), "--query", queries_of(tmp_path)[0]]
    assert main([*arguments, "--preset", "photos", "--model", model]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["queries"][0]["predictions"]) == list(COMPARED)
    assert report["unavailable"] == {}


def test_evaluate(data, tmp_path, capsys):
    output = tmp_path / "out.json"
    arguments = ["evaluate", "--data", str(data), "--ways", "5", "--shots", "1", "--episodes", "20"]
    arguments += ["--seed", "3", "--json", str(output)]
    assert main(arguments) == 0
    report = json.loads(output.read_text())
    protocol = report["protocol"]
    assert (protocol["ways"], protocol["shots"], protocol["queries"]) == (5, 1, 1)
    assert (protocol["split"], protocol["seed"], protocol["episodes"]) == ("evaluation", 3, 20)
    assert set(protocol["checkpoints"]) == {"siamese", "triplet", "prototype", "finetune"}
    methods = [result["method"] for result in report["results"]]
    assert methods == ["pixels", "siamese", "triplet", "prototype", "finetune"]
    assert all(
        result["episodes"] == 20 and result["queries"] == 100 for result in report["results"]
    )
    printed = capsys.readouterr().out
    assert f"{100 * report['results'][0]['accuracy']:.2f} ±" in printed


def test_evaluate_over_several_protocols(data, tmp_path, capsys):
    output, table = tmp_path / "out.json", tmp_path / "out.csv"
    arguments = ["evaluate", "--data", str(data), "--methods", "prototype,pixels"]
    arguments += ["--episodes", "10", "--json", str(output), "--csv", str(table)]
    assert main([*arguments, "--ways", "3,5", "--shots", "1,2"]) == 0
    runs = json.loads(output.read_text())["runs"]
    protocols = [(run["protocol"]["ways"], run["protocol"]["shots"]) for run in runs]
    assert protocols == [(3, 1), (3, 2), (5, 1), (5, 2)]
    assert all(result["episodes"] == 10 for run in runs for result in run["results"])
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == 4 * 2 and {row["stopped"] for row in rows} == {"False"}
    assert {(row["dataset"], row["split"], row["seed"]) for row in rows} == {
        ("omniglot", "evaluation", "0")
    }
    assert "5-way 2-shot" in capsys.readouterr().out
    # The same numbers as the protocol alone has, and from one to three shots of each class.
    assert main([*arguments, "--ways", "5", "--shots", "2"]) == 0
    alone = json.loads(output.read_text())["results"]
    assert [r["accuracy"] for r in alone] == [r["accuracy"] for r in runs[3]["results"]]
    assert main([*arguments, "--ways", "5", "--shots", "1-3"]) == 0
    assert json.loads(output.read_text())["protocol"]["shots"] == [1, 3]


def test_evaluate_stopped_by_ctrl_c_reports_what_it_has(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fewshot.episodes.EPISODES_AT_ONCE", 4)
    output = tmp_path / "out.json"
    steps = Evaluator.steps

    def interrupted(self, *arguments):
        for done, result in enumerate(steps(self, *arguments)):
            if done == 1:
                signal.raise_signal(signal.SIGINT)
            yield result

    monkeypatch.setattr(Evaluator, "steps", interrupted)
    arguments = ["evaluate", "--data", str(data), "--methods", "pixels", "--ways", "5"]
    assert main([*arguments, "--episodes", "40", "--json", str(output)]) == 0
    report = json.loads(output.read_text())
    assert report["results"][0]["episodes"] == 8 and report["stopped"] is True
    assert "Stopped" in capsys.readouterr().err
    monkeypatch.setattr(Evaluator, "steps", steps)
    assert main([*arguments, "--episodes", "40", "--json", str(output)]) == 0
    assert "stopped" not in json.loads(output.read_text())


def test_ctrl_c_while_embedding_ends_at_once(data, tmp_path, capsys, monkeypatch):
    output = tmp_path / "out.json"

    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("went on")

    monkeypatch.setattr(Evaluator, "embed", interrupted)
    arguments = ["evaluate", "--data", str(data), "--methods", "pixels", "--ways", "5"]
    assert main([*arguments, "--json", str(output)]) == 130
    assert "interrupted" in capsys.readouterr().err and not output.exists()


def test_evaluate_within_alphabet_and_on_a_tree(data, capsys):
    arguments = ["evaluate", "--ways", "5", "--episodes", "5", "--methods", "prototype"]
    assert main([*arguments, "--data", str(data), "--within-alphabet"]) == 0
    tree = sorted((data / "images_evaluation").iterdir())[0]
    assert main([*arguments, "--dataset", str(tree)]) == 0
    assert capsys.readouterr().out.count("prototype") == 2


def test_evaluate_with_queries_from_a_second_data_set(data, tmp_path, capsys):
    """Supports of one folder, queries of another; matched by name."""
    shown, asked = tmp_path / "shown", tmp_path / "asked.zip"
    characters = sorted(sorted((data / "images_evaluation").iterdir())[0].iterdir())
    names = "abcdef"
    for name, folder in zip(names, characters, strict=True):
        (shown / name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:3]:
            (shown / name / file.name).write_bytes(file.read_bytes())
    with zipfile.ZipFile(asked, "w") as archive:  # without f, with x, and with a picture of shown
        for name, folder in zip("abcdex", characters, strict=True):
            for file in sorted(folder.iterdir())[2:]:
                archive.writestr(f"{name}/{file.name}", file.read_bytes())
    output = tmp_path / "out.json"
    arguments = ["evaluate", "--dataset", str(shown), "--query-dataset", str(asked)]
    arguments += ["--methods", "prototype,tca", "--against", "prototype", "--episodes", "20"]
    assert main([*arguments, "--ways", "5", "--queries", "3", "--json", str(output)]) == 0
    report = json.loads(output.read_text())
    protocol = report["protocol"]
    assert (protocol["dataset"], protocol["query_dataset"]) == ("shown", "asked.zip")
    prototype, tca = report["results"]
    assert prototype["queries"] == 20 * 5 * 3 and not prototype["transductive"]
    assert tca["transductive"] and tca["against"] == "prototype"
    said = capsys.readouterr()
    assert said.out.count("transductive") == 1
    assert "supports’ data set has: 1, left out (f)." in said.err
    assert "queries’ data set has: 1, left out (x)." in said.err
    assert "supports’, too: 5, left out" in said.err
    line = refused(capsys, *arguments, "--ways", "5", "--queries", "4")
    assert "1 shown and 4 asked of each class" in line
    assert "6-way" in refused(capsys, *arguments, "--ways", "6")


def test_data_sets_that_do_not_go_together(data, tmp_path, capsys):
    alphabet = sorted((data / "images_evaluation").iterdir())[0]
    for i, folder in enumerate(sorted(alphabet.iterdir())[:2]):
        (tmp_path / "other" / f"letter {i}").mkdir(parents=True)
        for file in folder.iterdir():
            (tmp_path / "other" / f"letter {i}" / file.name).write_bytes(file.read_bytes())
    first = ["evaluate", "--dataset", str(alphabet), "--ways", "2"]
    other = ["--query-dataset", str(tmp_path / "other")]
    assert "no class name in common" in refused(capsys, *first, *other)
    same = ["--query-dataset", str(alphabet)]
    assert "the same pictures" in refused(capsys, *first, *same)
    assert "--query-dataset" in refused(capsys, *first, "--query-data", "x")
    assert "--shots 0" in refused(capsys, *first, *same, "--shots", "0")
    assert "Lake" in refused(capsys, *first, "--query-dataset", "lake")


def test_queries_of_omniglot_from_a_second_folder(data, tmp_path, capsys):
    """The same characters by other hands, within alphabets."""
    write_omniglot_tree(
        tmp_path, alphabets=2, characters=6, drawers=3, split="images_evaluation", seed=8
    )
    arguments = ["evaluate", "--data", str(data), "--query-dataset", "omniglot"]
    arguments += ["--query-data", str(tmp_path), "--within-alphabet", "--ways", "5"]
    arguments += ["--methods", "pixels", "--queries", "3", "--episodes", "5"]
    assert main(arguments) == 0
    assert "5 episodes, 75 queries" in capsys.readouterr().out


def test_a_split_is_meant_for_the_data_set_that_has_some(data, tmp_path, capsys):
    """Supports from a plain folder, which has none, queries from Omniglot's background set."""
    write_omniglot_tree(tmp_path, alphabets=2, characters=6, drawers=3, seed=8)
    alphabet = sorted((data / "images_evaluation").iterdir())[0]
    arguments = ["evaluate", "--dataset", str(alphabet), "--ways", "2", "--methods", "pixels"]
    arguments += ["--query-dataset", "omniglot", "--query-data", str(tmp_path)]
    # Both are read; the default split is not there.
    assert "no class name in common" in refused(capsys, *arguments, "--split", "background")
    assert "images_evaluation" in refused(capsys, *arguments)


def test_what_is_evaluated_where_nothing_is_said(data, tmp_path, capsys):
    output = tmp_path / "out.json"
    arguments = ["--data", str(data), "--ways", "3", "--methods", "pixels", "--json", str(output)]
    assert main(["evaluate", *arguments]) == 0
    protocol = json.loads(output.read_text())["protocol"]
    told = {name: protocol[name] for name in ("shots", "queries", "episodes", "seed")}
    assert told == {"shots": 1, "queries": 1, "episodes": 1000, "seed": 0}
    assert not protocol["within_group"]
    line = refused(capsys, "evaluate", "--data", str(data), "--methods", "pixels")
    assert "20-way" in line and "12" in line


def test_train_learns_and_resumes_to_the_same_weights(data, tmp_path, capsys):
    common = ["train", "prototype", "--data", str(data), "--batch", "16", "--seed", "1"]
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    assert main([*common, "--steps", "6", "--output", str(whole)]) == 0
    assert "validation accuracy" in capsys.readouterr().out
    card = json.loads(whole.with_suffix(".json").read_text())
    assert card["recipe"]["seed"] == 1 and card["steps_done"] == 6
    assert card["data"]["validation_characters"] == 12  # three alphabets of four

    def interrupted(teller, progress, stop_at=3):
        if progress.step >= stop_at:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fewshot.training.loop.SAVE_EVERY_SECONDS", 0)
        patch.setattr("fewshot.training.loop.REPORT_EVERY", 1)
        patch.setattr("fewshot.cli.train._Teller.progress", interrupted)
        assert main([*common, "--steps", "6", "--output", str(parts)]) == 130
    assert not parts.exists()
    assert main([*common, "--output", str(parts), "--resume"]) == 0  # as many as were planned
    assert parts.read_bytes() == whole.read_bytes()


def test_training_says_what_it_does_from_the_first_second(data, tmp_path, capsys):
    command = ["train", "prototype", "--data", str(data), "--batch", "16", "--steps", "30"]
    assert main([*command, "--output", str(tmp_path / "a.safetensors")]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ["Reading the drawings …", "Training, 30 steps to go …"]
    assert told[2].startswith("step 20/30  loss ") and told[2].endswith(" s left")
    assert told[3] == "Measuring on what was held out …"
    assert told[4].startswith("step 30/30  ") and "left" not in told[4]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3_569, "59 min"), (3_600, "1 h 0 min")],
)
def test_how_long_is_left_is_told_as_people_say_it(seconds, told):
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["dance"], "dance"),
        (["classify", "--support", "nowhere.zip", "--query", "x.png"], "nowhere.zip"),
        (["evaluate", "--data", "nowhere"], "nowhere"),
        (["evaluate", "--ways", "1"], "1"),
        (["evaluate", "--ways", "many"], "many"),
        (["evaluate", "--methods", "voodoo"], "voodoo"),
        (["evaluate", "--methods", ","], "names nothing"),
        (["evaluate", "--shots", "1-x"], "x"),
        (["evaluate", "--shots=-1"], "“-1” lacks a number"),
        (["evaluate", "--ways", "4,"], "“4,” lacks a number"),
        (["train", "prototype", "--output", "x.safetensors", "--init", "none.pt"], "none.pt"),
        (["classify", "--support", __file__, "--query", "x.png"], "neither a folder nor a zip"),
        (["classify", "--support", str(ROOT / "tests"), "--query", str(ROOT)], "is a folder"),
        (["classify", "--support", str(ROOT / "tests"), "--query", "x.png"], "no picture at x.png"),
        (["evaluate", "--dataset", "nowhere"], "nowhere"),
        (["evaluate", "--dataset", "lake"], "--data"),
        (["evaluate", "--dataset", "lake", "--ways", "20"], "leave out --ways"),
        (["evaluate", "--dataset", "lake", "--shots", "1"], "leave out --shots"),
        (["evaluate", "--dataset", "lake", "--queries", "2"], "leave out --queries"),
        (["evaluate", "--dataset", "lake", "--episodes", "9"], "leave out --episodes"),
        (["evaluate", "--dataset", "lake", "--within-alphabet"], "leave out --within-alphabet"),
        (["evaluate", *NAMES_ALONE, "--queries", "1"], "leave out --queries"),
        (["evaluate", *NAMES_ALONE, "--episodes", "9"], "leave out --episodes"),
        (["evaluate", *NAMES_ALONE, "--within-alphabet"], "leave out --within-alphabet"),
        (["evaluate", "--methods", "pixels", "--transductive"], "--transductive is for finetune"),
        (["evaluate", "--methods", "prototype", "--steps", "9"], "--steps is for finetune"),
        (["evaluate", "--methods", "tca", "--entropy-weight", "1"], "--entropy-weight is for"),
        (["evaluate", "--methods", "nearest", "--prompts", "plain"], "--prompts is for clip or"),
        (["classify", "--names", "a,b", "--query", "x.png", "--transductive"], "is for finetune"),
        (["train", "prototype", "--data", "nowhere", "--output", "x.safetensors"], "nowhere"),
        (["train", "prototype", "--output", "x.pt"], "x.pt"),
        (["train", "prototype", "--output", "x", "--steps", "3", "--minutes", "2"], "minutes"),
        (["train", "prototype", "--output", "x", "--minutes", "-2"], "-2"),
        (["train", "siamese", "--output", "x.safetensors", "--on-cpu"], "clip and koch"),
        (["download", "no-such-model"], "no-such-model"),
        (["evaluate", "--dataset", "a" * 300], "too long"),
        (["evaluate", "--json", "a" * 300 + "/x.json"], "too long"),
        (["classify", "--support", "a" * 300, "--query", "x.png"], "too long"),
        (["train", "prototype", "--output", "a" * 300 + "/x.safetensors"], "too long"),
        (["evaluate", "--seed", "9" * 20], "too large for a seed"),
        (["train", "clip", "--data", "x", "--output", __file__], "must be a folder"),
        (["train", "prototype", "--output", str(ROOT / "tests")], "must be a .safetensors file"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_two(capsys, arguments, named):
    assert named in refused(capsys, *arguments)


def test_too_many_ways_says_how_many_there_are(capsys, data):
    line = refused(capsys, "evaluate", "--data", str(data), "--ways", "99")
    assert "99" in line and "12" in line


def test_a_broken_query_is_named(capsys, support_zip, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    line = refused(capsys, "classify", "--support", str(support_zip), "--query", str(broken))
    assert "broken.png" in line


def test_queries_that_cannot_be_read_are_left_out(capsys, support_zip, tmp_path):
    query, broken = queries_of(tmp_path)[0], tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    arguments = ["classify", "--support", str(support_zip), "--query", str(broken), query]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert [asked["file"] for asked in report["queries"]] == [Path(query).name]
    assert any("'broken.png'" in sentence for sentence in report["left_out"])
    assert "'broken.png'" in printed.err


def test_queries_whose_files_are_called_alike_are_told_apart(capsys, support_zip, tmp_path):
    (tmp_path / "more").mkdir()
    paths = [queries_of(tmp_path)[0], queries_of(tmp_path / "more")[0]]
    assert main(["classify", "--support", str(support_zip), "--query", *paths]) == 0
    asked = json.loads(capsys.readouterr().out)["queries"]
    assert [query["file"] for query in asked] == paths


def test_classify_prints_a_table_beside_its_files(capsys, support_zip, tmp_path):
    table, queries = tmp_path / "out.csv", queries_of(tmp_path)
    arguments = ["classify", "--support", str(support_zip), "--query", *queries]
    arguments += ["--methods", "siamese,clip"]
    assert main([*arguments, "--csv", str(table)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["siamese"]  # there is no such CLIP model
    assert lines.pop().startswith("clip: ")
    best = [row for row in csv.DictReader(table.open()) if row["rank"] == "1"]
    assert [line.split() for line in lines] == [
        [row["query"], *row["class"].split(), f"{float(row['probability']):.0%}"] for row in best
    ]
    assert "both name" in refused(capsys, *arguments, "--json", str(table), "--csv", str(table))


def half_toned(folder: Path, *classes: str) -> Path:
    """Write three pictures of each class, as little drawn as photos are."""
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(3):
            few = Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8))
            few.resize((90, 90)).save(folder / name / f"{number}.png")
    return folder


def test_classes_that_the_small_clip_was_trained_on_are_told_of(capsys, tmp_path):
    shown = half_toned(tmp_path / "set", "Goldfish", "b")
    evaluate = ["evaluate", "--dataset", str(shown), "--ways", "2", "--queries", "1"]
    evaluate += ["--episodes", "2", "--preset", "photos", "--methods"]
    said = "The small CLIP was trained on photos of 'Goldfish'"
    assert main([*evaluate, "prototype", "--model", "embedded"]) == 0
    assert said in capsys.readouterr().err
    assert main([*evaluate, "pixels"]) == 0  # which have no encoder
    assert said not in capsys.readouterr().err


def test_photos_taken_for_drawings_are_told_of(capsys, tmp_path):
    shown = str(half_toned(tmp_path / "set", "a", "b"))
    query = str(tmp_path / "set" / "a" / "0.png")
    said = "These look like photos, and as drawings only their outlines are seen: take --preset"
    methods = ["--methods", "pixels"]
    assert main(["classify", "--support", shown, "--query", query, *methods]) == 0
    printed = capsys.readouterr()
    assert said in printed.err and said in json.loads(printed.out)["cautions"][0]
    evaluate = ["evaluate", "--dataset", shown, "--ways", "2", "--episodes", "3", *methods]
    assert main(evaluate) == 0
    assert said in capsys.readouterr().err
    assert main([*evaluate, "--preset", "photos"]) == 0
    assert said not in capsys.readouterr().err


def test_a_blank_query_is_told_of(capsys, support_zip, tmp_path):
    blank = tmp_path / "blank.png"
    blank.write_bytes(png(np.full((90, 90, 3), 255, np.uint8)))
    paths = [str(blank), queries_of(tmp_path)[0]]
    assert main(["classify", "--support", str(support_zip), "--query", *paths]) == 0
    said = "No drawing was found in 'blank.png': what is said of it rests on nothing."
    assert said in capsys.readouterr().err


def test_an_interval_without_spread_is_explained(capsys, tmp_path):
    for name, ink in (("bar", np.s_[40:50]), ("post", np.s_[:, 40:50])):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((90, 90, 3), 255, np.uint8)
            pixels[ink] = 20 * number
            (tmp_path / "set" / name / f"{number}.png").write_bytes(png(pixels))
    evaluate = ["evaluate", "--dataset", str(tmp_path / "set"), "--ways", "2", "--episodes", "40"]
    assert main([*evaluate, "--methods", "prototype"]) == 0
    printed = capsys.readouterr()
    assert "100.00 ± 39.30 %" in printed.out  # 1 - 0.05 ** (1 / 6)
    assert "Where nothing differs from episode to episode" in printed.err


def test_a_folder_called_like_a_known_data_set_is_another(data, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = sorted((data / "images_evaluation").iterdir())[0]
    (tmp_path / "photos").symlink_to(tree)
    output = str(tmp_path / "out.json")
    evaluate = ["evaluate", "--ways", "2", "--episodes", "2", "--methods", "pixels"]
    assert main([*evaluate, "--dataset", "./photos", "--json", output]) == 0
    assert json.loads(Path(output).read_text())["protocol"]["dataset"] == "photos/"


def test_an_output_that_cannot_be_written(capsys, support_zip, tmp_path):
    (tmp_path / "file").write_text("")
    query = queries_of(tmp_path)[0]
    output = str(tmp_path / "file" / "out.json")
    arguments = ["classify", "--support", str(support_zip), "--query", query, "--json", output]
    assert "out.json" in refused(capsys, *arguments)


def test_the_folder_one_is_in_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert output_path(".").name == tmp_path.name
    assert output_path("new").name == "new"


@pytest.mark.parametrize(
    "command",
    [
        ["classify", "--support", "letters.zip", "--query", "x.png", "--json"],
        ["evaluate", "--json"],
        ["evaluate", "--csv"],
        ["bench", "classify", "--json"],
        ["tune", "drawings", "--data", "omniglot", "--output"],
        ["train", "prototype", "--output"],
        ["train", "clip", "--output"],
    ],
)
def test_a_folder_that_is_not_there_is_refused_before_the_work(capsys, tmp_path, command):
    missing = tmp_path / "rseults"
    line = refused(capsys, *command, str(missing / "out"))
    assert f"no folder {missing}" in line and not missing.exists()


def test_a_name_that_is_no_utf_8_does_not_cost_the_results(tmp_path):
    path, odd = tmp_path / "out.json", os.fsdecode(b"caf\xe9")
    write_json({"dataset": odd, "ok": "ü"}, path)
    assert json.loads(path.read_text("utf-8")) == {"dataset": odd, "ok": "ü"}


def test_a_folder_in_place_of_a_file(capsys, tmp_path):
    assert "is a folder" in refused(capsys, "evaluate", "--json", str(tmp_path))


def test_download_names_only_what_can_be_downloaded(capsys):
    line = refused(capsys, "download", "nope")
    assert "nope" in line and "ViT-B-32" in line and "hf-hub:" in line
    assert "embedded" not in line and "folder" not in line


def test_as_a_module():
    ran = subprocess.run(
        [sys.executable, "-m", "fewshot", "evaluate", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100"},
        check=True,
    )
    assert "python -m fewshot evaluate --dataset omniglot" in ran.stdout


def test_results_go_through_a_pipe_and_a_link(tmp_path):
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    write_text("new", link)
    assert link.is_symlink() and target.read_text() == "new"
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text("through", pipe)
    reader.join(timeout=10)
    assert read == ["through"] and pipe.is_fifo()


def test_the_last_block_is_of_clip_alone(capsys):
    assert main(["evaluate", "--last-block", "--methods", "finetune"]) == 2
    assert "--preset photos" in capsys.readouterr().err


def test_classify_has_what_the_page_has_under_settings(support_zip, tmp_path, capsys):
    model = str(write_tiny_clip(tmp_path / "clip"))
    query = queries_of(tmp_path)[0]
    arguments = ["classify", "--support", str(support_zip), "--query", query, "--model", model]
    arguments += ["--preset", "photos", "--temperature", "7", "--entropy-weight", "0.3"]
    arguments += [
        "--transductive",
        "--steps",
        "9",
        "--prompts",
        "a {} at night",
        "--prompts",
        "plain",
    ]
    assert main([*arguments, "--describe", "Oru=with two dots"]) == 0
    report = json.loads(capsys.readouterr().out)
    settings = report["settings"]
    assert settings["templates"][0] == "a {} at night" and len(settings["templates"]) > 1
    assert (settings["temperature"], settings["entropy_weight"], settings["steps"]) == (7, 0.3, 9)
    assert settings["transductive"] and settings["model"] == model
    assert report["descriptions"] == {"Oru": "with two dots"}
    line = refused(capsys, *arguments, "--describe", "Nobody=x")
    assert "'Nobody': there is no such class, only 'Mishal', 'Oru', 'Pelo' and 2 more." in line
    assert "templates “nope”" in refused(capsys, *arguments, "--prompts", "nope")


def test_classify_by_names_alone(tmp_path, capsys):
    model = str(write_tiny_clip(tmp_path / "clip"))
    query = queries_of(tmp_path)[0]
    arguments = ["classify", "--query", query, "--model", model]
    assert main([*arguments, "--names", "heart,star"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["classes"] == ["heart", "star"]
    assert list(report["queries"][0]["predictions"]) == ["clip"]
    assert "at least 2 classes" in refused(capsys, *arguments, "--names", "heart")


def test_a_model_asked_for_by_name_is_not_gone_without(support_zip, tmp_path, capsys):
    arguments = ["classify", "--support", str(support_zip), "--query", queries_of(tmp_path)[0]]
    for model in ("nope", "~nobody-here/x", "x" * 300):
        assert "There is no CLIP model" in refused(capsys, *arguments, "--model", model)
    weights = write_tiny_clip(tmp_path / "clip") / "open_clip_model.safetensors"
    assert main([*arguments, "--methods", "clip", "--model", str(weights)]) == 0
    capsys.readouterr()
    alone = weights.rename(tmp_path / "other.safetensors")
    assert "with its open_clip_config.json" in refused(capsys, *arguments, "--model", str(alone))


def test_names_of_any_script_reach_any_pipe(tmp_path):
    folder = tmp_path / "shown"
    task = example_task("alphabet")
    for name, picture in zip(("猫", "いぬ"), task.support.pictures[::10], strict=False):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").write_bytes(png(picture.pixels))
    query = tmp_path / os.fsdecode(b"\xff.png")
    query.write_bytes(png(task.queries[0].pixels))
    command = [sys.executable, "-m", "fewshot", "classify", "--support", str(folder)]
    command += ["--query", str(query), "--methods", "pixels"]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout.decode("utf-8"))["classes"] == ["いぬ", "猫"]
    command = f"{sys.executable} -m fewshot evaluate --help | true"
    done = subprocess.run(command, cwd=ROOT, shell=True, capture_output=True, check=True)
    assert b"Traceback" not in done.stderr


def test_the_invented_alphabet_is_at_hand_and_its_confusions_are_written(tmp_path, capsys):
    output = tmp_path / "out.json"
    arguments = ["evaluate", "--dataset", "invented", "--methods", "pixels", "--ways", "5"]
    arguments += ["--episodes", "12", "--json", str(output)]
    assert main(arguments) == 0
    assert "top-5" not in capsys.readouterr().out  # of five classes it says nothing
    report = json.loads(output.read_text("utf-8"))
    assert report["protocol"]["dataset"] == "invented"
    assert report["protocol"]["model"] is None  # none could be had, nor was one needed
    pairs = report["confusion"]["pixels"]
    assert sum(count for _, _, count in pairs) == 12 * 5
    right = sum(count for true, answered, count in pairs if true == answered)
    assert right == round(60 * report["results"][0]["accuracy"])
    counts = [count for *_, count in pairs]
    assert counts == sorted(counts, reverse=True) and min(counts) > 0


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--queries-only"], "give that, too"),
        (["--json", "out.txt", "--csv", "out.txt"], "each its own file"),
        (["--split", "latin"], "invented has none"),
        (["--shots", "3-1"], "runs backwards"),
    ],
)
def test_arguments_that_would_be_passed_over_are_refused(more, sentence, capsys):
    arguments = ["evaluate", "--dataset", "invented", "--ways", "5", "--methods", "pixels", *more]
    assert sentence in refused(capsys, *arguments)


def test_a_slip_in_the_folder_leaves_the_tables_alone(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text("utf-8"), "utf-8")
    arguments = ["reproduce", "--tables", "--output", str(tmp_path / "nowhere")]
    assert "no results in" in refused(capsys, *arguments, "--readme", str(readme))
    assert readme.read_text("utf-8") == (ROOT / "README.md").read_text("utf-8")
