"""Prompt templates for CLIP, by kind of picture, as data in assets/."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from fewshot.types import InputError

FILE = Path(__file__).parents[1] / "assets" / "prompts" / "templates.json"


@functools.cache
def template_sets() -> dict[str, tuple[str, ...]]:
    """Set name -> templates, each with ``{}`` where the class name goes."""
    return {name: tuple(texts) for name, texts in json.loads(FILE.read_text("utf-8")).items()}


def prompts_of(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Every name's prompts, one name after the other."""
    return [template.replace("{}", name) for name in names for template in templates]


def templates(name: str) -> tuple[str, ...]:
    """The templates of a set.

    Raises:
        InputError: there is no such set.
    """
    if name not in template_sets():
        raise InputError(f"There are no templates “{name}”: choose {', '.join(template_sets())}.")
    return template_sets()[name]
