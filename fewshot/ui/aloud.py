"""What the page has read out, by whoever cannot see it."""

from __future__ import annotations

import json
from pathlib import Path

# For an HTML component's js_on_load, once in the page; it has a #said-aloud.
BY_KEYS = Path(__file__).with_name("by_keys.js").read_text("utf-8")


def say(words: str) -> str:
    """JavaScript, a statement that says words."""
    return say_what(json.dumps(words, ensure_ascii=False))


def say_what(expression: str) -> str:
    """JavaScript, a statement that says what an expression comes to."""
    return f"globalThis.sayAloud({expression});"
