"""The letters, digits and symbols that the embedded CLIP learns, and what they are called."""

from __future__ import annotations

import functools
import json
import string
import unicodedata
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "assets" / "prompts" / "symbols.json"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Those that look like a Latin letter are left out: they would be one picture of two names.
GREEK = "αβγδεζηθλμξπρσφχψωΓΔΘΛΞΠΣΦΨΩ"
CYRILLIC = "бгджзийлпфцчшщыэюя"
HEBREW = "אבגדהזחטכלמנסעפצקרשת"


@dataclass(frozen=True)
class Symbol:
    """Something to draw.

    Attributes:
        characters: what is drawn for it; the cases of a Latin letter share its names.
        names: what it is called, the most usual name first.
    """

    characters: tuple[str, ...]
    names: tuple[str, ...]


@functools.cache
def symbols() -> tuple[Symbol, ...]:
    """Latin letters, digits, Greek, Cyrillic and Hebrew letters, and everyday symbols."""
    everyday = json.loads(FILE.read_text("utf-8"))["everyday"]
    return (
        *(_latin(letter) for letter in string.ascii_lowercase),
        *(_digit(value) for value in range(10)),
        *(_foreign(letter) for letter in GREEK + CYRILLIC + HEBREW),
        *(_everyday(signs, names) for signs, names in everyday.items()),
    )


@functools.cache
def fonts() -> dict[str, tuple[str, ...]]:
    """File names of free fonts: those like handwriting, printed ones, those kept for validation."""
    return {k: tuple(v) for k, v in json.loads(FILE.read_text("utf-8"))["fonts"].items()}


def _latin(letter: str) -> Symbol:
    names = (f"letter {letter}", letter, f"latin letter {letter}", f"the letter {letter}")
    return Symbol((letter, letter.upper()), names)


def _digit(value: int) -> Symbol:
    word = DIGITS[value]
    names = (f"digit {value}", str(value), f"number {value}", f"digit {word}", f"number {word}")
    return Symbol((str(value),), names)


def _foreign(letter: str) -> Symbol:
    """A letter whose Unicode name reads "GREEK SMALL LETTER ALPHA"."""
    unicode_name = unicodedata.name(letter).lower()
    names = [unicode_name.replace("small letter", "letter")]  # "greek letter alpha"
    if letter not in CYRILLIC:  # whose names are syllables, some of them Latin letters' names
        capital = "capital " if " capital " in unicode_name else ""
        names.append(capital + unicode_name.split(" letter ")[1])
    return Symbol((letter,), _distinct(*names, unicode_name))


def _everyday(signs: str, names: list[str]) -> Symbol:
    """Signs that share their everyday names, each with its Unicode name besides."""
    return Symbol(tuple(signs), _distinct(*names, *(unicodedata.name(s).lower() for s in signs)))


def _distinct(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
