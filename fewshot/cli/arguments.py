"""Arguments and output that several commands share."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from fewshot.atomic_write import write_atomically
from fewshot.types import InputError


def at_least(smallest: int) -> Callable[[str], int]:
    """An argparse type: a whole number not below ``smallest``."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = smallest - 1
        if number < smallest:
            raise argparse.ArgumentTypeError(f"“{text}” is not a whole number from {smallest} on")
        return number

    return parse


def seed(text: str) -> int:
    """An argparse type: a whole number that every generator takes."""
    number = at_least(0)(text)
    if number >= 2**63:
        raise argparse.ArgumentTypeError(f"{text} is too large for a seed: stay below 2^63")
    return number


def positive(text: str) -> float:
    """An argparse type: a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"“{text}” is not a number above 0")
    return number


def names(text: str) -> list[str]:
    """An argparse type: names with commas between, at least one, each once."""
    found = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise argparse.ArgumentTypeError(f"“{text}” names nothing")
    return found


def output_path(text: str) -> Path:
    """An argparse type: a place to write to, in a folder that is there.

    Refused before the work starts: a folder that is not there is more often a slip of the hand
    than wished for, and results that cannot be written are lost.
    """
    path = Path(text)
    try:
        path = path if path.name else path.resolve()  # of “.”
        if not path.parent.is_dir():
            raise argparse.ArgumentTypeError(
                f"there is no folder {path.parent} to write {path.name} to: make it first"
            )
        other = path.exists() and not (path.is_file() or path.is_dir())  # a pipe, a device
        if not other and not os.access(path.parent, os.W_OK):
            raise argparse.ArgumentTypeError(f"{path.parent} is a folder you may not write to")
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"nothing can be written there: {error.strerror}"
        ) from error
    return path


def output_file(text: str) -> Path:
    """An argparse type: the same for a single file."""
    path = output_path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder: name a file in it")
    return path


def check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse ``--json`` and ``--csv`` in one file."""
    if arguments.json and arguments.json == arguments.csv:
        raise InputError(f"--json and --csv both name {arguments.json}: give each its own file.")


# What to do where photos are taken for drawings.
TAKE_PHOTOS = "take --preset photos"


def add_preset(parser: argparse.ArgumentParser) -> None:
    """``--preset`` and ``--model``."""
    parser.add_argument(
        "--preset", default="drawings", help="drawings (default) or photos: which encoders"
    )
    parser.add_argument(
        "--model",
        metavar="embedded|NAME|PATH|hf-hub:NAME",
        help="CLIP model: the embedded one, ViT-B-32, ViT-B-16, MobileCLIP2-S0, ViT-L-14, one of "
        "the hub, or a folder with "
        "open_clip_config.json and open_clip_model.safetensors; without it ViT-B-32 where it is on "
        "this machine, else the embedded one",
    )


def write_json(values: dict, path: Path | None) -> None:
    """Write JSON to a file, or print it."""
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if path is None:
        sys.stdout.write(text)
    else:
        write_text(text, path)


def write_text(text: str, path: Path) -> None:
    """Write a file whole or not at all; a pipe or a device is written to as it is.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, "utf-8", "backslashreplace")
        else:
            # A link stays one. A file name that is no UTF-8 is a lone surrogate here, which JSON
            # can only escape.
            write_atomically(path.resolve(), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from error


class Status:
    """One line on the terminal that says how far the work is; silent when not a terminal.

    Attributes:
        is_shown: whether it is one.
    """

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty()

    def __call__(self, share: float, what: str) -> None:
        """Show a share in 0..1."""
        self.line(f"{100 * share:4.0f}% {what}")

    def line(self, text: str) -> None:
        """Show a text in place of the one before."""
        if self.is_shown:
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the line empty."""
        self.line("")

    def keep(self) -> None:
        """Let what is shown stand, and go on below it."""
        if self.is_shown:
            print(file=sys.stderr, flush=True)


@contextlib.contextmanager
def stopping(stop: list[bool]) -> Iterator[None]:
    """Within it, the first Ctrl-C puts True into the list; a second one ends the program."""

    def ask(*_) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.append(True)
        print("\nstopping after this step …", file=sys.stderr)

    previous = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
