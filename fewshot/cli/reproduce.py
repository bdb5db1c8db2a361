"""``reproduce``: every accuracy of the README, anew."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fewshot.cli.arguments import Status, at_least, names, stopping
from fewshot.types import InputError

HELP = "Measure everything that the README reports; write results, plots and its tables."
EXAMPLES = """\
  python -m fewshot reproduce --data omniglot --photos photos --lake all_runs
  python -m fewshot reproduce --only invented
  python -m fewshot reproduce --data omniglot --only drawings,ways-evaluation --episodes 200"""
_ROOT = Path(__file__).parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="Omniglot, as for evaluate")
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="holds photos.zip and classes.csv"
    )
    parser.add_argument("--lake", type=Path, metavar="DIR", help="holds run01 to run20")
    parser.add_argument(
        "--only", type=names, metavar="NAME,NAME", help="some experiments; the other results stay"
    )
    parser.add_argument(
        "--tables", action="store_true", help="measure nothing: plots and tables of what there is"
    )
    parser.add_argument("--episodes", type=at_least(2), metavar="N", help="at most N a protocol")
    parser.add_argument(
        "--output",
        type=Path,
        default=_ROOT / "assets" / "results",
        metavar="DIR",
        help="for results and plots (default: assets/results)",
    )
    parser.add_argument(
        "--readme",
        type=Path,
        default=_ROOT / "README.md",
        metavar="FILE",
        help="whose tables are written between its markers (default: README.md)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run what there are data for; Ctrl-C keeps the experiments that are finished."""
    from fewshot.reproduce.plots import write_plots
    from fewshot.reproduce.pools import Pools
    from fewshot.reproduce.readme import read_block, write_block
    from fewshot.reproduce.records import read_records, write_record
    from fewshot.reproduce.running import Runner, UnfinishedError
    from fewshot.reproduce.tables import block

    read_block(arguments.readme)  # refused now rather than after all the work
    if not read_records(arguments.output) and arguments.tables:
        raise InputError(f"There are no results in {arguments.output} to make tables of.")
    pools = Pools(data=arguments.data, photos=arguments.photos, lake=arguments.lake)
    chosen = [] if arguments.tables else _chosen(arguments.only, pools)
    status, stop, failed = Status(), [], []
    with stopping(stop):
        runner = Runner(pools, _command(arguments), arguments.episodes, status, lambda: stop)
        for number, experiment in enumerate(chosen, 1):
            _tell(status, f"{number} of {len(chosen)}: {experiment.name} …")
            try:
                record = runner.run(experiment)
            except UnfinishedError:
                _tell(status, "Stopped: the experiments finished so far are kept.")
                break
            except InputError as error:  # the others may do
                failed.append(error)
                if len(failed) == len(chosen):
                    raise
                _tell(status, f"  left as it is: {error}")
                continue
            write_record(record, arguments.output)
            for name, why in record["left_out"].items():
                _tell(status, f"  left out: {name}: {why}")
            _tell(status, f"  {record['seconds']:.0f} s")
    records = read_records(arguments.output)
    if not records:
        raise InputError(f"There are no results yet, so {arguments.readme} stays as it is.")
    write_plots(records, arguments.output)
    where = Path(os.path.relpath(arguments.output.resolve(), arguments.readme.resolve().parent))
    write_block(arguments.readme, block(records, where.as_posix()))
    print(f"{len(records)} results in {arguments.output}, tables in {arguments.readme}")


def _tell(status: Status, line: str) -> None:
    status.clear()
    print(line, file=sys.stderr, flush=True)


def _chosen(only: list[str] | None, pools) -> list:
    """The experiments to run.

    Raises:
        InputError: one that was named is unknown, or its data were not given.
    """
    from fewshot.reproduce.experiments import EXPERIMENTS, NAMES
    from fewshot.reproduce.pools import SOURCES

    for name in only or ():
        if name not in NAMES:
            raise InputError(f"There is no experiment “{name}”: choose {', '.join(NAMES)}.")
    chosen = []
    for experiment in EXPERIMENTS:
        if only and experiment.name not in only:
            continue
        option = pools.missing(experiment.data)
        if option is None:
            chosen.append(experiment)
        elif only:
            raise InputError(f"{experiment.name} needs {option} ({SOURCES[experiment.data][1]}).")
        else:
            print(f"{experiment.name} needs {option}: left as it is.", file=sys.stderr)
    return chosen


def _command(arguments: argparse.Namespace) -> str:
    """As it was typed, with words for the folders: what is recorded names no one's disk."""
    words = ["python -m fewshot reproduce"]
    words += [
        f"--{name} {name.upper()}"
        for name in ("data", "photos", "lake")
        if getattr(arguments, name) is not None
    ]
    if arguments.only:
        words.append(f"--only {','.join(arguments.only)}")
    if arguments.episodes:
        words.append(f"--episodes {arguments.episodes}")
    return " ".join(words)
