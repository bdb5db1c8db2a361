"""The README's results: they are those of the records, and the records can be had again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from omniglot_tree import write_omniglot_tree

from fewshot.cli import main
from fewshot.evaluation import Evaluator
from fewshot.evaluation_results import MethodScore
from fewshot.metrics import mean_interval
from fewshot.reproduce.experiments import EXPERIMENTS, NAMES, SEED, Experiment, Task
from fewshot.reproduce.line_chart import Series, line_chart
from fewshot.reproduce.pair_space import as_sentences, pair_space
from fewshot.reproduce.plots import plots_of
from fewshot.reproduce.pools import Pools
from fewshot.reproduce.provenance import commit
from fewshot.reproduce.published import GAINS
from fewshot.reproduce.readme import BEGIN, END, read_block
from fewshot.reproduce.records import find, read_records
from fewshot.reproduce.running import FIRST, Runner, _as_json
from fewshot.reproduce.tables import block
from fewshot.types import InputError

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "assets" / "results"
SVG = "{http://www.w3.org/2000/svg}"
# Quick ones, over encoders of which the others make use, too.
RUN_AGAIN = ("pixels", "siamese", "prototype")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FEWSHOT_CLIP", "/no/such/model")


@pytest.fixture(scope="module")
def omniglot(tmp_path_factory):
    root = tmp_path_factory.mktemp("omniglot")
    write_omniglot_tree(
        root, alphabets=2, characters=6, drawers=7, split="images_evaluation", seed=1
    )
    return root


@pytest.fixture
def written(tmp_path):
    """A README with markers, and where results go."""
    readme = tmp_path / "README.md"
    readme.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nafter\n", "utf-8")
    return readme, tmp_path / "results"


def reproduce(written, *arguments: str) -> int:
    readme, results = written
    return main(["reproduce", "--readme", str(readme), "--output", str(results), *arguments])


def refused(capsys, written, *arguments: str) -> str:
    code = reproduce(written, *arguments)
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and len(lines) == 1, lines
    return lines[0]


def test_readme_has_what_the_records_say():
    assert read_block(ROOT / "README.md") == block(read_records(RESULTS)), (
        "README.md and assets/results differ: run python -m fewshot reproduce --tables"
    )


def test_plots_are_those_of_the_records():
    drawn = plots_of(read_records(RESULTS))
    assert {path.name for path in RESULTS.glob("*.svg")} == set(drawn)
    for name, svg in drawn.items():
        assert (RESULTS / name).read_text("utf-8") == svg


def test_records_say_where_they_are_from_and_name_no_disk():
    records = read_records(RESULTS)
    assert "invented" in records
    for name, record in records.items():
        text = json.dumps(record)
        assert str(ROOT) not in text and str(Path.home()) not in text
        assert record["seed"] == SEED
        assert re.fullmatch(r"[0-9a-f]{40}", record["commit"])  # a tree that can be had again
        assert record["command"].startswith("python -m fewshot reproduce")
        measured = {r["method"] for run in record["runs"] for r in run["results"]}
        assert not measured & set(record["left_out"])
        named = {e.name: e.methods for e in EXPERIMENTS}[name]
        assert measured | set(record["left_out"]) >= set(named)
        learned = measured - {"pixels"}
        assert set(record["checkpoints"]) == learned
        assert all(len(digest) == 64 for digest in record["checkpoints"].values())


@pytest.mark.parametrize(
    ("name", "task"),
    [("invented", Task(20, 1)), ("drawings", Task(20, 1)), ("drawings", Task(5, 5))],
)
def test_first_episodes_again_are_within_the_recorded_interval(name, task):
    record = read_records(RESULTS).get(name)
    folder = os.environ.get("FEWSHOT_OMNIGLOT")
    if name != "invented" and not (folder and record):
        pytest.skip("needs Omniglot at FEWSHOT_OMNIGLOT, and results of it")
    pools = Pools(data=Path(folder) if folder else None)
    data = next(experiment.data for experiment in EXPERIMENTS if experiment.name == name)
    again = Experiment(name, data, RUN_AGAIN, (task,), episodes=FIRST)
    now = Runner(pools, "test", FIRST).run(again)
    assert now["data"] == record["data"]
    for method in RUN_AGAIN:
        protocol = {"ways": task.ways, "shots": task.shots, "within_alphabet": False}
        old, new = (find(one, method, **protocol) for one in (record, now))
        assert new["episodes"] == old["first"]["episodes"] == FIRST
        assert abs(new["accuracy"] - old["first"]["accuracy"]) <= old["first"]["ci95"]
        assert 0 < old["first"]["ci95"] < 0.05  # or the test could not fail
        # The recorded whole and its recorded beginning are of one run.
        both = np.hypot(old["ci95"], old["first"]["ci95"])
        assert abs(old["accuracy"] - old["first"]["accuracy"]) <= both
        assert now["checkpoints"].get(method) == record["checkpoints"].get(method)


@pytest.mark.parametrize(("classes", "each"), [(1, 1), (2, 1), (1, 3), (3, 2), (5, 4), (4, 7)])
def test_pair_space_is_what_counting_gives(classes, each):
    drawings = list(product(range(classes), range(each)))
    pairs = list(combinations(drawings, 2))
    space = pair_space(classes, each)
    assert space.pairs == len(pairs)
    assert space.same == sum(a[0] == b[0] for a, b in pairs)
    assert space.different == sum(a[0] != b[0] for a, b in pairs)


def test_pair_space_of_the_background_set():
    space = pair_space(964, 20)
    n = 964 * 20
    assert space.pairs == n * (n - 1) // 2 == 185_849_560
    assert space.same == 964 * 20 * 19 // 2 == 183_160
    assert "185,849,560 pairs, 183,160 of them" in as_sentences(space)
    assert "185,849,560 pairs" in read_block(ROOT / "README.md")


def test_published_gains_are_differences_of_the_printed_accuracies():
    by_kind = {(gain.shots, gain.transductive): gain.gains for gain in GAINS}
    assert by_kind[1, True]["Mini-ImageNet"] == pytest.approx(65.73 - 56.17)
    assert by_kind[1, False]["Tiered-ImageNet"] == pytest.approx(66.58 - 67.45)
    assert by_kind[5, True]["FC-100"] == pytest.approx(57.57 - 49.72)
    assert len(by_kind) == 4


def test_chart_is_an_image_of_its_numbers():
    a = Series("a & b", [(2, 90.0, 5.0), (10, 50.0, 2.0), (40, 10.0, 0.0)], "#123456")
    alone = Series("<point>", [(10, 95.5, 0.0)], "#654321")
    root = ElementTree.fromstring(line_chart("Title", "x", "y", [a, alone], (0, 100)))
    assert root.tag == f"{SVG}svg"
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"a & b", "<point>", "Title", "2", "10", "40", "0 %", "100 %"} <= set(texts)
    line, key = (e for e in root.iter(f"{SVG}path") if e.get("class") == "line")
    points = [tuple(map(float, p.split())) for p in line.get("d")[1:].split("L")]
    xs, ys = zip(*points, strict=True)
    # Both axes are linear: the middle point divides each as its value does.
    assert (xs[1] - xs[0]) / (xs[2] - xs[0]) == pytest.approx((10 - 2) / (40 - 2), abs=1e-3)
    assert (ys[1] - ys[0]) / (ys[2] - ys[0]) == pytest.approx((90 - 50) / (90 - 10), abs=1e-3)
    assert ys[0] < ys[2]  # more is further up
    assert key.get("stroke") == "#123456"
    band = next(e for e in root.iter(f"{SVG}path") if e.get("class") == "band")
    edge = [tuple(map(float, p.split())) for p in band.get("d")[1:-1].split("L")]
    height = edge[-1][1] - edge[0][1]  # of the band at x = 2: 10 points of the axis
    assert height / (ys[2] - ys[0]) == pytest.approx(10 / 80, abs=2e-3)
    assert sum(1 for _ in root.iter(f"{SVG}circle")) == 2  # the mark, and its key


def test_all_of_it_on_a_tiny_omniglot(omniglot, written, capsys):
    readme, results = written
    wanted = "drawings,ways-evaluation,shots-evaluation"
    arguments = ["--data", str(omniglot), "--episodes", "6"]
    assert reproduce(written, *arguments, "--only", wanted) == 0
    printed = capsys.readouterr().err
    assert "20-way" in printed  # there are 12 characters: told of, and recorded
    assert "left as it is: shots-evaluation" in printed  # nothing of it could be run
    records = read_records(results)
    assert list(records) == wanted.split(",")[:2]
    record = records["drawings"]
    assert record["command"] == (
        f"python -m fewshot reproduce --data DATA --only {wanted} --episodes 6"
    )
    assert record["data"]["classes"] == 12 and record["data"]["pictures"] == 84
    assert "the largest has 7 pictures" in record["left_out"]["20-way 1-shot"]
    # The same as the engine gives by itself, and differences on the same episodes.
    evaluator = Evaluator(Pools(data=omniglot).load("omniglot-evaluation").pool, ["pixels"])
    own = by_itself(evaluator, Task(5, 1, within_alphabet=True))
    result = find(record, "pixels", ways=5, shots=1, within_alphabet=True)
    assert result["accuracy"] == pytest.approx(own, abs=1e-5)
    best = find(record, "prototype", ways=5, shots=1, within_alphabet=True)
    assert result["difference"][0] == pytest.approx(own - best["accuracy"], abs=2e-5)
    assert [run["protocol"]["ways"] for run in records["ways-evaluation"]["runs"]] == [2, 5, 10]
    text = readme.read_text("utf-8")
    assert text.startswith("# Before\n") and text.endswith("\nafter\n") and "old" not in text
    assert read_block(readme) == block(records, "results")
    assert f"{100 * result['accuracy']:.1f} ±" in text and "(results/ways.svg)" in text
    root = ElementTree.parse(results / "ways.svg").getroot()
    assert any("siamese" in (e.text or "") for e in root.iter(f"{SVG}text"))

    # Tables and plots alone are those of the records.
    shown = readme.read_text("utf-8")
    readme.write_text(shown.replace("±", "?"), "utf-8")
    (results / "ways.svg").unlink()
    assert reproduce(written, "--tables") == 0
    assert readme.read_text("utf-8") == shown and (results / "ways.svg").exists()

    # One of them again: the same but for the day, and the others stay as they are.
    before = {path.name: path.read_bytes() for path in results.glob("*")}
    assert reproduce(written, *arguments, "--only", "ways-evaluation") == 0
    anew = read_records(results)["ways-evaluation"]
    volatile = ("when", "seconds", "commit", "command")
    kept = {key: value for key, value in records["ways-evaluation"].items() if key not in volatile}
    assert {key: value for key, value in anew.items() if key not in volatile} == kept
    for name, content in before.items():
        assert name == "ways-evaluation.json" or (results / name).read_bytes() == content


def by_itself(evaluator: Evaluator, task: Task) -> float:
    from fewshot.episodes import Protocol, draw_episodes

    pool = evaluator.pool
    protocol = Protocol(task.ways, task.shots, task.queries, task.within_alphabet)
    drawn = draw_episodes(pool.labels, protocol, 6, SEED, pool.groups)
    return mean_interval(evaluator.run(drawn).accuracies["pixels"])[0]


def test_ctrl_c_keeps_the_finished_experiments(omniglot, written, capsys, monkeypatch):
    readme, results = written
    steps = Evaluator.steps
    seen = []

    def interrupted(self, *arguments):
        for result in steps(self, *arguments):
            seen.append(1)
            if len(seen) == 4:  # three ways of the first, then in the second
                signal.raise_signal(signal.SIGINT)
            yield result

    monkeypatch.setattr(Evaluator, "steps", interrupted)
    pixels = Experiment("ways-evaluation", "omniglot-evaluation", ("pixels",),
                        (Task(2, 1), Task(3, 1), Task(5, 1)), against=None)  # fmt: skip
    second = Experiment("shots-evaluation", "omniglot-evaluation", ("pixels",),
                        (Task(2, 1), Task(2, 2)), against=None)  # fmt: skip
    monkeypatch.setattr("fewshot.reproduce.experiments.EXPERIMENTS", (pixels, second))
    monkeypatch.setattr("fewshot.reproduce.running.EXPERIMENTS", (pixels, second))
    assert reproduce(written, "--data", str(omniglot), "--episodes", "4") == 0
    assert "finished so far are kept" in capsys.readouterr().err
    assert list(read_records(results)) == ["ways-evaluation"]
    assert "`pixels`, unseen" in read_block(readme)


def test_damaged_readmes_are_refused_before_any_work(written, capsys):
    readme, results = written
    whole = readme.read_text("utf-8")
    for damaged in (
        whole.replace(BEGIN, ""),
        whole.replace(END, ""),
        whole + BEGIN,
        f"{END}\n{BEGIN}\n",
    ):
        readme.write_text(damaged, "utf-8")
        assert BEGIN in refused(capsys, written, "--only", "invented")
        assert readme.read_text("utf-8") == damaged and not results.exists()
    readme.unlink()
    assert "not there" in refused(capsys, written, "--only", "invented")


def test_what_cannot_be_run_is_refused(written, omniglot, tmp_path, capsys):
    assert "needs --data" in refused(capsys, written, "--only", "drawings")
    assert "choose invented, drawings" in refused(capsys, written, "--only", "drawing")
    assert reproduce(written, "--data", str(tmp_path / "no"), "--only", "drawings") == 2
    assert "images_evaluation" in capsys.readouterr().err.splitlines()[-1]
    results = written[1]
    results.mkdir()
    (results / "drawings.json").write_text("{}", "utf-8")
    assert "drawings.json is no record" in refused(capsys, written, "--only", "invented")


def test_without_data_the_rest_stays_as_it_is(written, capsys, monkeypatch):
    without = tuple(one for one in EXPERIMENTS if one.name != "invented")
    monkeypatch.setattr("fewshot.reproduce.experiments.EXPERIMENTS", without)
    before = written[0].read_text("utf-8")
    assert reproduce(written) == 2  # there is nothing to make tables of
    assert written[0].read_text("utf-8") == before
    printed = capsys.readouterr().err
    assert all(f"{name} needs --" in printed for name in NAMES if name != "invented")


def test_commit_of_a_tree(tmp_path):
    def git(*arguments: str) -> str:
        names = ("-c", "user.name=a", "-c", "user.email=a@b")
        ran = subprocess.run(
            ["git", "-C", str(tmp_path), *names, *arguments], capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return ran.stdout.strip()

    assert commit(tmp_path) == "unknown"
    git("init", "-q")
    (tmp_path / "code.py").write_text("1")
    git("add", ".")
    git("commit", "-qm", "one")
    head = git("rev-parse", "HEAD")
    assert commit(tmp_path) == head
    (tmp_path / "assets" / "results").mkdir(parents=True)
    (tmp_path / "assets" / "results" / "a.json").write_text("{}")
    (tmp_path / "README.md").write_text("written by the command")
    assert commit(tmp_path) == head
    (tmp_path / "code.py").write_text("2")
    assert commit(tmp_path) == f"{head}-dirty"
    (tmp_path / "inner").mkdir()
    assert commit(tmp_path / "inner") == "unknown"  # within some other project


def test_a_single_run_has_no_difference_to_record() -> None:
    score = MethodScore("pixels", 0.5, 0.1, 1, 20, 1.0, 0.9, 0.0, (0.1, float("nan")), "prototype")
    with pytest.raises(InputError, match="two of Lake's runs"):
        _as_json(score, np.array([0.5]))
    json.dumps(_as_json(replace(score, difference=(0.1, 0.2)), np.array([0.5])), allow_nan=False)
