"""``bench``: speeds measured side by side in one run, as ratios."""

from __future__ import annotations

import argparse
from pathlib import Path

from fewshot.cli.arguments import Status, output_file, write_json

HELP = "Measure speeds side by side, as ratios."
EXAMPLES = """\
  python -m fewshot bench training --data omniglot
  python -m fewshot bench classify
  python -m fewshot bench evaluation   # with easyfsl installed"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "what",
        choices=("training", "classify", "evaluation"),
        help="what to measure beside what it is compared with",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="Omniglot, for training")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="the figures, too")


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, and write JSON where asked."""
    status = Status()
    if arguments.what == "training":
        from fewshot.bench.training import measure

        figures = measure(arguments.data, status)
    elif arguments.what == "evaluation":
        from fewshot.bench.evaluation import measure

        figures = measure(status)
    else:
        from fewshot.bench.classify import measure

        figures = measure(status)
    status.clear()
    for name, value in figures.items():
        print(f"{name}: {value}")
    if arguments.json:
        write_json(figures, arguments.json)
