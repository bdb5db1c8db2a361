"""``classify``: answer queries from a support set."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from fewshot.cli.arguments import add_preset, at_least, names, output_file, write_json
from fewshot.types import InputError

HELP = "Classify pictures from a few labelled ones, with every method side by side."
EXAMPLES = """\
  python -m fewshot classify --support letters.zip --query unknown1.png unknown2.png
  python -m fewshot classify --support photos/ --query *.jpg --preset photos --json out.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--support", type=Path, required=True, metavar="DIR|ZIP", help="one folder per class"
    )
    parser.add_argument("--query", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--methods", type=names, metavar="NAME,NAME")
    parser.add_argument("--steps", type=at_least(0), help="fine-tuning steps")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="default: print it")
    add_preset(parser)


def run(arguments: argparse.Namespace) -> None:
    """Classify and write JSON; files that are left out are named on stderr."""
    import sys
    from dataclasses import replace

    from fewshot.class_folders import read_class_folders
    from fewshot.compare import COMPARED, compare
    from fewshot.images import decode, support_set
    from fewshot.methods import Settings
    from fewshot.presets import get_preset
    from fewshot.prompts import templates
    from fewshot.report import as_json, conditions

    _check(arguments.support, arguments.query)
    folders = read_class_folders(arguments.support)
    queries = [decode(path, path.name) for path in arguments.query]
    settings = Settings(templates=templates(get_preset(arguments.preset).templates))
    if arguments.steps is not None:
        settings = replace(settings, steps=arguments.steps)
    comparison = compare(
        support_set(folders.classes),
        queries,
        arguments.preset,
        arguments.methods or COMPARED,
        settings,
        model=arguments.model,
    )
    run_with = conditions(arguments.preset, settings, arguments.model)
    write_json(as_json(comparison, folders.skipped, run_with), arguments.json)
    for sentence in folders.skipped:  # last, so that a refusal stays one line
        print(sentence, file=sys.stderr)


def _check(support: Path, queries: list[Path]) -> None:
    """Refuse what is plainly not what was asked for, in words of a command line."""
    if not support.exists():
        raise InputError(f"There is no support set at {support}.")
    if support.is_file() and not zipfile.is_zipfile(support):
        raise InputError(f"{support} is neither a folder nor a zip of class folders.")
    for query in queries:
        if query.is_dir():
            raise InputError(f"{query} is a folder: --query takes picture files.")
        if not query.exists():
            raise InputError(f"There is no picture at {query}.")
