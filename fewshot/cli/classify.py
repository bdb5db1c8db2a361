"""``classify``: answer queries from a support set."""

from __future__ import annotations

import argparse
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from fewshot.cli.arguments import (
    TAKE_PHOTOS,
    add_preset,
    check_outputs,
    names,
    output_file,
    write_json,
    write_text,
)
from fewshot.cli.settings import add_settings, settings_of
from fewshot.types import InputError, Picture, SupportSet

HELP = "Classify pictures from a few labelled ones, with every method side by side."
EXAMPLES = """\
  python -m fewshot classify --support letters.zip --query unknown1.png unknown2.png
  python -m fewshot classify --support photos/ --query *.jpg --preset photos --json out.json
  python -m fewshot classify --names "heart,star,check mark" --query sign.png --prompts drawing"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    shown = parser.add_mutually_exclusive_group(required=True)
    shown.add_argument("--support", type=Path, metavar="DIR|ZIP", help="one folder per class")
    shown.add_argument(
        "--names", type=names, metavar="NAME,NAME", help="no pictures: CLIP goes by these names"
    )
    parser.add_argument(
        "--describe",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="a class in a few words more, which CLIP reads behind its name; may be given several "
        "times",
    )
    parser.add_argument(
        "--query", type=Path, nargs="+", required=True, metavar="FILE", help="pictures to classify"
    )
    parser.add_argument(
        "--methods",
        type=names,
        metavar="NAME,NAME",
        help="default: siamese, triplet, finetune, clip, clip-adapter; the README lists all",
    )
    add_settings(parser)
    parser.add_argument(
        "--json",
        type=output_file,
        metavar="FILE",
        help="all figures; without it and --csv they are printed, with either of them a table is",
    )
    parser.add_argument(
        "--csv", type=output_file, metavar="FILE", help="a line for each query, method and class"
    )
    add_preset(parser)


def run(arguments: argparse.Namespace) -> None:
    """Classify and write JSON; what to read the answers with is said on stderr."""
    from fewshot.compare import COMPARED, compare
    from fewshot.encoders.clip_models import find_clip
    from fewshot.remarks import blank_queries, remarks, with_photos_told
    from fewshot.report import as_csv, as_json, as_table, conditions

    check_outputs(arguments)
    methods = arguments.methods or (COMPARED if arguments.support else ["clip"])
    settings = settings_of(arguments, methods)
    if arguments.model:
        find_clip(arguments.model)  # asked for by name, it is not to be gone without
    _check(arguments.support, arguments.query)
    support, skipped = _support(arguments)
    queries, unread = _queries(arguments.query)
    comparison = compare(
        support, queries, arguments.preset, methods, settings, model=arguments.model
    )
    comparison = with_photos_told(comparison, support, arguments.preset, TAKE_PHOTOS)
    run_with = conditions(arguments.preset, settings, arguments.model)
    left_out = (*skipped, *unread)
    if arguments.json or not arguments.csv:
        write_json(as_json(comparison, left_out, run_with), arguments.json)
    if arguments.csv:
        write_text(as_csv(comparison), arguments.csv)
    if arguments.json or arguments.csv:
        print(as_table(comparison))
    said = [*left_out, *remarks(comparison, support, queries), blank_queries(comparison)]
    for sentence in filter(None, [*said, *comparison.cautions]):
        print(sentence, file=sys.stderr)  # last, so that a refusal stays one line


def _queries(paths: list[Path]) -> tuple[list[Picture], list[str]]:
    """The pictures, and a sentence for each that cannot be read.

    They are called by their files' names; by their paths, as given, where names are alike.

    Raises:
        InputError: none of them can be read.
    """
    from fewshot.class_names import visible
    from fewshot.images import decode

    distinct = len({path.name for path in paths}) == len(paths)
    pictures, unread = [], []
    for path in paths:
        try:
            pictures.append(decode(path, visible(path.name if distinct else str(path))))
        except InputError as error:
            unread.append(str(error))
    if not pictures:
        raise InputError(unread[0])
    return pictures, unread


def _support(arguments: argparse.Namespace) -> tuple[SupportSet, tuple[str, ...]]:
    """What is shown, descriptions included, and a sentence for each file left out of it."""
    from fewshot.class_folders import read_class_folders
    from fewshot.class_names import class_names, quoted
    from fewshot.images import support_set
    from fewshot.remarks import some

    skipped: tuple[str, ...] = ()
    if arguments.names:
        nothing = np.zeros(0, np.int64)
        shown = SupportSet(class_names(arguments.names), (), nothing)
    else:
        folders = read_class_folders(arguments.support)
        shown, skipped = support_set(folders.classes), folders.skipped
    said = dict.fromkeys(shown.classes, "")
    for one in arguments.describe:
        name, is_given, text = one.partition("=")
        if not is_given:
            raise InputError(
                f"--describe takes a class and words for it, as “{shown.classes[0]}=TEXT”, and not "
                f"“{one}”."
            )
        if name.strip() not in said:
            raise InputError(
                f"--describe {quoted(name)}: there is no such class, only {some(shown.classes)}."
            )
        said[name.strip()] = text.strip()
    described = tuple(said.values()) if arguments.describe else ()
    return replace(shown, descriptions=described), skipped


def _check(support: Path | None, queries: list[Path]) -> None:
    """Refuse what is plainly not what was asked for, in words of a command line."""
    if support and not support.exists():
        raise InputError(
            f"There is no support set at {support}: give a folder or a zip with one folder of "
            "pictures per class."
        )
    if support and support.is_file() and not zipfile.is_zipfile(support):
        raise InputError(
            f"{support} is neither a folder nor a zip: give one that has a folder of pictures per "
            "class."
        )
    for query in queries:
        if query.is_dir():
            raise InputError(f"{query} is a folder: --query takes picture files.")
        if not query.exists():
            raise InputError(f"There is no picture at {query}: check the path.")
