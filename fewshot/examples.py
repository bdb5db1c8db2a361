"""Example tasks for a visitor without pictures at hand: made on demand, no data files."""

from __future__ import annotations

from functools import cache

from fewshot.examples_base import ExampleTask
from fewshot.examples_letters import LETTER_TASKS, Letters
from fewshot.examples_symbols import Symbols
from fewshot.examples_textures import Textures
from fewshot.types import InputError

# By key, in the order of the page's buttons; calling one makes the task.
EXAMPLE_TASKS: dict[str, Letters | Symbols | Textures] = {
    recipe.key: recipe for recipe in (*LETTER_TASKS, Textures(), Symbols())
}


@cache
def example_task(name: str) -> ExampleTask:
    """The task of that name in ``EXAMPLE_TASKS``, made once per process.

    Raises:
        InputError: there is no such task.
    """
    if name not in EXAMPLE_TASKS:
        raise InputError(f"No example task {name!r}: choose one of {', '.join(EXAMPLE_TASKS)}.")
    return EXAMPLE_TASKS[name]()
