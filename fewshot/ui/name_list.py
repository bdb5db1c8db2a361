"""A pasted list of names: one to a line, each once."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot.class_names import MAX_CLASS_NAME, class_name, visible
from fewshot.types import InputError

MAX_NAMES = 1_000
# What the browser may send: far more than fits, so that too long a list is told of, not cut.
MAX_CHARACTERS = 4 * MAX_NAMES * (MAX_CLASS_NAME + 1)


@dataclass(frozen=True)
class NameList:
    """What a pasted list holds.

    Attributes:
        names: each once, whatever its case, in the order of the list.
        repeated: how many lines only said again what stood above.
        too_long: lines that are left out for their length.
    """

    names: tuple[str, ...]
    repeated: int
    too_long: tuple[str, ...] = ()


def read_names(text: str | None) -> NameList:
    """Read a list; blank lines do not count.

    Raises:
        InputError: fewer than 2 names or more than ``MAX_NAMES``, or one that nobody can see.
    """
    lines = [tidy for line in (text or "").splitlines() if (tidy := visible(line))]
    # A list is pasted as it was found: one line of it that is a sentence is no reason to refuse it.
    too_long = tuple(line for line in lines if len(line) > MAX_CLASS_NAME)
    lines = [line for line in lines if len(line) <= MAX_CLASS_NAME]
    # CLIP reads "Koala" as it reads "koala": two of them would share one answer.
    first: dict[str, str] = {}
    for name in map(class_name, lines):
        first.setdefault(name.casefold(), name)
    names = tuple(first.values())
    if len(names) < 2:
        if too_long:
            class_name(too_long[0])  # says what is wrong with it
        raise InputError("There is nothing to choose from yet: give two or more names, one a line.")
    if len(names) > MAX_NAMES:
        raise InputError(
            f"{len(names):,} names are too many at once: leave out {len(names) - MAX_NAMES:,} to "
            f"come down to {MAX_NAMES:,}."
        )
    return NameList(names, len(lines) - len(names), too_long)
