"""``evaluate``: accuracy over episodes, with its 95% interval."""

from __future__ import annotations

import argparse
import math
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.arguments import (
    TAKE_PHOTOS,
    Status,
    add_preset,
    at_least,
    check_outputs,
    names,
    output_file,
    seed,
    stopping,
    write_json,
    write_text,
)
from fewshot.cli.datasets import DATASETS, Dataset, add_dataset, add_query_dataset, load_domains
from fewshot.cli.settings import add_settings, settings_of
from fewshot.types import InputError

if TYPE_CHECKING:
    from fewshot.data.pool import Pool
    from fewshot.episodes import Episodes
    from fewshot.evaluation import Evaluator
    from fewshot.evaluation_results import Evaluation, MethodScore

    # A protocol as the JSON names it, and its episodes.
    Task = tuple[dict, Episodes]

HELP = "Measure methods over few-shot episodes."
EXAMPLES = """\
  python -m fewshot evaluate --dataset omniglot --data omniglot --ways 20 --shots 1
  python -m fewshot evaluate --dataset omniglot --data omniglot --within-alphabet --json out.json
  python -m fewshot evaluate --dataset lake --data all_runs
  python -m fewshot evaluate --dataset my_photos.zip --preset photos --ways 5 --shots 5
  python -m fewshot evaluate --data omniglot --ways 5,10,20,40,60 --shots 1,5 --csv curves.csv
  python -m fewshot evaluate --data omniglot --ways 5 --shots 1-5 --against prototype
  python -m fewshot evaluate --dataset drawn.zip --query-dataset photographed.zip \\
      --ways 5 --methods prototype,tca --against prototype"""
DEFAULT_METHODS = ["pixels", "siamese", "triplet", "prototype", "finetune"]
# How episodes are drawn, where they are, unless something else is asked for.
DRAWN = {"ways": [20], "shots": [1], "queries": 1, "episodes": 1000, "within_alphabet": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_dataset(parser)
    add_query_dataset(parser)
    parser.add_argument(
        "--ways",
        type=_ways,
        metavar="N,N",
        help="classes, some numbers, or all (default 20)",
    )
    parser.add_argument(
        "--shots",
        type=_shots,
        metavar="K,K|A-B",
        help="pictures of each class, some numbers, or from A to B, another number for each class; "
        "0: names alone, for clip (default 1)",
    )
    parser.add_argument("--queries", type=at_least(1), help="per class (default 1)")
    parser.add_argument("--episodes", type=at_least(1), help="default 1000")
    parser.add_argument(
        "--within-alphabet",
        action="store_true",
        default=None,
        help="draw the classes of an episode from one group: an Omniglot alphabet",
    )
    parser.add_argument(
        "--methods",
        type=names,
        default=DEFAULT_METHODS,
        metavar="NAME,NAME",
        help=f"default: {', '.join(DEFAULT_METHODS)}; the README lists all",
    )
    parser.add_argument(
        "--against", metavar="NAME", help="method to compare the others with, episode by episode"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the draw (default 0)")
    add_settings(parser)
    parser.add_argument(
        "--distort",
        metavar="NAME",
        help="drawings changed: inverted, coloured, thick, off-centre, paper "
        "(photographed), blurred, or rough (a broad pen, photographed out of focus)",
    )
    parser.add_argument(
        "--queries-only", action="store_true", help="distort the queries, not the supports"
    )
    parser.add_argument(
        "--json", type=output_file, metavar="FILE", help="all figures, and what they were made by"
    )
    parser.add_argument("--csv", type=output_file, metavar="FILE", help="a line for each result")
    add_preset(parser)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate and print a table; write JSON where asked."""
    from fewshot.evaluation import Evaluator
    from fewshot.evaluation_results import ALIKE, as_csv
    from fewshot.methods import get_method
    from fewshot.remarks import photographed, trained_on
    from fewshot.report import evaluation_conditions

    for name in arguments.methods:
        get_method(name)  # found out before anything is loaded
    check_outputs(arguments)
    if arguments.queries_only and not arguments.distort:
        raise InputError("--queries-only says what --distort changes: give that, too.")
    settings = settings_of(arguments, arguments.methods)
    arguments = _completed(arguments)
    loaded = load_domains(arguments)
    tasks = _tasks(arguments, loaded)
    pool = loaded.pool
    if arguments.distort:
        pool, tasks = _distorted(arguments, pool, tasks)
    evaluator = Evaluator(
        pool,
        arguments.methods,
        arguments.preset,
        settings,
        model=arguments.model,
        against=arguments.against,
        on_disk=True,
    )
    facts = evaluation_conditions(
        arguments.preset, settings, arguments.model, arguments.against, arguments.seed
    )
    runs, stopped = _run_all(evaluator, tasks)
    unfit = photographed(pool.pictures, arguments.preset, TAKE_PHOTOS)
    cautions = [*evaluator.cautions, *trained_on(pool.classes, evaluator.cautions)]
    said = [*loaded.skipped, unfit, *cautions]
    if any(result.alike for _, result in runs):
        said.append(ALIKE)
    for sentence in filter(None, said):
        print(sentence, file=sys.stderr)
    if arguments.json:
        classes = pool.classes
        last = len(runs) - 1
        reports = [
            result.as_json(protocol | facts, classes, stopped=stopped and number == last)
            for number, (protocol, result) in enumerate(runs)
        ]
        write_json(reports[0] if len(tasks) == 1 else {"runs": reports}, arguments.json)
    if arguments.csv:
        told = [(protocol | facts, result) for protocol, result in runs]
        write_text(as_csv(told, stopped=stopped), arguments.csv)


def _completed(arguments: argparse.Namespace) -> argparse.Namespace:
    """With the defaults of how episodes are drawn.

    Raises:
        InputError: something was said of it that these episodes have no use for.
    """
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    unused, why = [], ""
    if arguments.dataset == "lake":
        unused, why = list(DRAWN), "Lake's runs prescribe their episodes"
    elif set(arguments.shots or ()) == {0}:
        unused = ["queries", "episodes", "within_alphabet"]
        why = "With --shots 0 every picture is asked once, among all classes"
    for name in unused:
        if name in given:
            raise InputError(f"{why}: leave out --{name.replace('_', '-')}.")
    return argparse.Namespace(**{**vars(arguments), **DRAWN, **given})


def _run_all(evaluator: Evaluator, tasks: list[Task]) -> tuple[list[tuple[dict, Evaluation]], bool]:
    """Every task's protocol and figures, printed as they come; and whether the last was stopped.

    Ctrl-C ends with the figures so far; a second one, or one while embedding, at once.
    """
    status, runs, stop = Status(), [], []
    embedded = evaluator.embed([episodes for _, episodes in tasks], status)
    with stopping(stop):
        for number, (protocol, episodes) in enumerate(tasks, start=1):
            steps = evaluator.steps(episodes, embedded, status)
            result = next(steps)
            while not stop and (further := next(steps, None)):
                result = further
            status.clear()
            if len(tasks) > 1:
                print(f"{protocol['ways']}-way {_shown(protocol['shots'])}-shot")
            for score in result.scores:
                print(_line(score, protocol["ways"]))
            runs.append((protocol, result))
            more = number < len(tasks) or result.scores[0].episodes < len(episodes)
            if stop and more:
                print("Stopped: these are the figures of the episodes so far.", file=sys.stderr)
                return runs, True
    return runs, False


def _distorted(arguments: argparse.Namespace, pool: Pool, tasks: list[Task]):
    """Pool and tasks after ``--distort``."""
    from fewshot.data.distortions import distort

    facts = {"distortion": arguments.distort, "queries_only": arguments.queries_only}
    changed, moved = distort(
        pool,
        [episodes for _, episodes in tasks],
        arguments.distort,
        arguments.seed,
        queries_only=arguments.queries_only,
    )
    protocols = [protocol | facts for protocol, _ in tasks]
    return changed, list(zip(protocols, moved, strict=True))


def _line(score: MethodScore, ways: int) -> str:
    top5 = f"top-5 {100 * score.top5:.2f} %, " if ways > 5 else ""
    line = (
        f"{score.method:<12} {100 * score.accuracy:6.2f}{_half(score.ci95)} %   "
        f"{score.episodes} episodes, {score.queries} queries, "
        f"{score.episodes_per_second:.0f} episodes/s, {top5}"
        f"calibration error {100 * score.calibration_error:.1f} %"
    )
    if score.transductive:
        line += ", transductive"
    if score.difference is None:
        return line
    mean, half = score.difference
    return f"{line}, {100 * mean:+.2f}{_half(half)} against {score.against}"


def _half(half: float) -> str:
    """Half an interval in points; nothing where a single episode has none."""
    return "" if math.isnan(half) else f" ± {100 * half:.2f}"


def _ways(text: str) -> list[int | None]:
    return [None] if text == "all" else _numbers(2, text.split(","), text)


def _shots(text: str) -> list[int | tuple[int, int]]:
    if "-" in text:
        least, most = _numbers(1, text.split("-", 1), text)
        if most < least:
            raise argparse.ArgumentTypeError(f"“{text}” runs backwards: give the fewer first")
        return [(least, most)]
    return _numbers(0, text.split(","), text)


def _numbers(least: int, parts: list[str], text: str) -> list[int]:
    """The parts of an option's text as whole numbers."""
    if not all(parts):
        raise argparse.ArgumentTypeError(f"“{text}” lacks a number at a comma or dash")
    return [at_least(least)(part) for part in parts]


def _shown(shots: int | tuple[int, int]) -> str:
    return "-".join(map(str, shots)) if isinstance(shots, tuple) else str(shots)


def _named(dataset: str) -> str:
    """A data set by its own name, or its file's or folder's."""
    name = Path(dataset).name or Path(dataset).resolve().name
    # A folder that is called like one of them is another thing.
    return f"{name}/" if name in DATASETS and dataset not in DATASETS else name


def _tasks(arguments: argparse.Namespace, loaded: Dataset) -> list[Task]:
    """A task for each number of ways and of shots, with the protocol as the JSON names it."""
    from fewshot.episodes import Protocol, draw_episodes, names_episode

    pool, fixed = loaded.pool, loaded.fixed
    facts: dict = {"dataset": _named(arguments.dataset)}
    if fixed is not None:
        return [(facts | {"ways": len(next(iter(fixed)).classes), "shots": 1}, fixed)]
    if arguments.dataset in ("omniglot", "photos"):
        facts["split"] = arguments.split or "evaluation"
    if arguments.query_dataset is not None:
        facts["query_dataset"] = _named(arguments.query_dataset)
    tasks = []
    for ways, shots in product(arguments.ways, arguments.shots):
        drawn = {"ways": ways or len(pool.classes), "shots": shots}
        if shots == 0:
            if drawn["ways"] != len(pool.classes):
                raise InputError("Names alone (--shots 0) are asked among all classes: --ways all.")
            tasks.append((facts | drawn, names_episode(pool.labels)))
            continue
        drawn |= {"queries": arguments.queries, "within_group": arguments.within_alphabet}
        episodes = draw_episodes(
            pool.labels,
            Protocol(**drawn),
            arguments.episodes,
            arguments.seed,
            pool.groups,
            loaded.asked,
        )
        tasks.append((facts | drawn | {"episodes": arguments.episodes}, episodes))
    return tasks
