"""Names that strangers give, to classes and to files: tidied, as messages and tables have them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from fewshot.types import InputError

MAX_CLASS_NAME = 80  # characters

# Marks that draw nothing: direction overrides and isolates, zero-width spaces, the soft hyphen,
# fillers, tags.
# The zero-width joiners U+200C and U+200D stay: Persian, Indic scripts and emoji need them.
_UNSEEN = {"\u00ad", "\u061c", "\u180e", "\u200b", "\u200e", "\u200f", "\ufeff"}
_UNSEEN |= {"\u034f", "\u115f", "\u1160", "\u2800", "\u3164", "\uffa0"}
_UNSEEN |= {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2060, 0x2070))}
_UNSEEN |= {chr(code) for code in range(0xE0000, 0xE0080)}


def class_name(text: str) -> str:
    """Tidy a class name of any script.

    Control characters and marks that draw nothing are dropped, runs of white space become one
    space, and the rest is NFC-normalised; letter case is kept.

    Args:
        text: what a person typed, or a folder's name.

    Returns:
        1 to ``MAX_CLASS_NAME`` characters.

    Raises:
        InputError: nothing visible is left, or the name is too long.
    """
    name = visible(text)
    # Joiners and combining marks alone would be a name nobody can see.
    if all(unicodedata.category(character) in ("Cf", "Mn", "Me") for character in name):
        raise InputError("A class has no name: give every class a name that can be read.")
    if len(name) > MAX_CLASS_NAME:
        raise InputError(
            f"The class name {quoted(name)} has {len(name)} characters: keep to {MAX_CLASS_NAME}."
        )
    return name


def class_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Tidy the names of a support set's classes.

    Raises:
        InputError: a bad or repeated name, or fewer than 2.
    """
    names = tuple(class_name(text) for text in texts)
    for position, name in enumerate(names):
        if name in names[:position]:
            raise InputError(f"The class name {quoted(name)} is given twice: rename one of them.")
    if len(names) < 2:
        raise InputError(f"A support set needs at least 2 classes, not {len(names)}: add another.")
    return names


def visible(text: str) -> str:
    """The text with unseen characters dropped, white space collapsed, NFC-normalised."""
    # Cs: lone surrogates, which a file name with undecodable bytes has and UTF-8 cannot write.
    unseen = {c for c in set(text) - _UNSEEN if unicodedata.category(c) in ("Cc", "Cs")} | _UNSEEN
    kept = "".join(c for c in text if c.isspace() or c not in unseen)
    return unicodedata.normalize("NFC", " ".join(kept.split()))


def quoted(name: str) -> str:
    """The name as it stands in a message: visible, on one line, shortened, in quotes."""
    shown = visible(name) or "unnamed"
    return f"'{shown}'" if len(shown) <= 80 else f"'{shown[:40]}…{shown[-39:]}'"


def listed(words: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def text_cell(text: str) -> str:
    """As a cell of a CSV: a spreadsheet runs one like a formula; a quote in front keeps it text."""
    return f"'{text}" if text[:1] in tuple("=+-@＝＋－＠\t\r\n") else text
