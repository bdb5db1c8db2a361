"""The command line: ``python -m fewshot`` and one of :data:`COMMANDS`.

Exit code 0 on success; 2 on bad arguments or unreadable input, with one line on stderr; 130 when
interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from fewshot.cli.parser import OneLineParser
from fewshot.types import InputError

# Each is a module beside this with HELP, EXAMPLES, add_arguments(parser) and run(arguments).
COMMANDS = ("train", "tune", "evaluate", "reproduce", "classify", "bench", "download")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = OneLineParser(
        prog="python -m fewshot",
        description="Few-shot image classification: train, evaluate, classify, measure.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = importlib.import_module(f"fewshot.cli.{name}")
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=command.HELP,
            epilog="examples:\n" + command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    parsed = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # Class names are of any script; a terminal's or a pipe's code page may not be.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        parsed.run(parsed)
        sys.stdout.flush()
    except InputError as error:
        print(f"{parser.prog} {parsed.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a path too long, a folder that may not be entered, a full disk
        about = f" ({error.filename})" if error.filename else ""
        said = f"{error.strerror or error}{about}"
        print(f"{parser.prog} {parsed.command}: {said}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog} {parsed.command}: interrupted.", file=sys.stderr)
        return 130
    return 0
