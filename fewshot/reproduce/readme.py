"""The part of the README that is written from the records, between two markers."""

from __future__ import annotations

from pathlib import Path

from fewshot.atomic_write import write_atomically
from fewshot.types import InputError

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def read_block(path: Path) -> str:
    """What lies between the markers.

    Raises:
        InputError: there is no such file, or it has not each marker once, in their order.
    """
    return _parts(path)[1]


def write_block(path: Path, block: str) -> None:
    """Put a block between the markers; the rest stays as it is.

    Raises:
        InputError: as :func:`read_block`, or the file cannot be written.
    """
    before, _, after = _parts(path)
    try:
        write_atomically(path, f"{before}{BEGIN}\n{block}{END}{after}".encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from error


def _parts(path: Path) -> tuple[str, str, str]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not there or cannot be read.") from error
    before, begin, rest = text.partition(f"{BEGIN}\n")
    block, end, after = rest.partition(END)
    once = text.count(BEGIN) == text.count(END) == 1
    if not (begin and end and once):
        raise InputError(
            f"{path} needs the line {BEGIN} and after it the line {END}, each once: the tables are "
            "written between them."
        )
    return before, block, after
