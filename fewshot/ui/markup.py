"""HTML around visitors' text and pictures; whatever they typed is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from functools import partial

import gradio as gr

from fewshot.types import Picture
from fewshot.ui.files import thumbnail

# A component of our own markup, without Gradio's styles for running text.
block = partial(gr.HTML, apply_default_css=False)

# As many sentences as a toast can show.
MOST_SENTENCES = 6
# Of a listener that neither the API offers nor Gradio shows its own progress for. That it is hidden
# is not enough: the browser would still tell every output so, at every word of every listener.
QUIET = {"api_visibility": "private", "show_progress": "hidden", "show_progress_on": []}


def escaped(text: str) -> str:
    """Text as HTML that shows it, in an element or in a quoted attribute.

    Braces and dollar signs too: Gradio's HTML component has a template language around them.
    """
    safe = html.escape(text)
    for character in "${}`":
        safe = safe.replace(character, f"&#{ord(character)};")
    return safe


def several(sentences: Sequence[str]) -> str:
    """Sentences as an HTML list, the rest of a long one counted."""
    items = [escaped(text) for text in sentences[:MOST_SENTENCES]]
    if more := len(sentences) - len(items):
        items.append(f"… and {more:,} more.")
    return items[0] if len(items) == 1 else f"<ul>{''.join(f'<li>{i}</li>' for i in items)}</ul>"


def number(value: float, digits: int = 2) -> str:
    """A number for people: rounded, with a minus sign as wide as a digit, and no "−0.00"."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def counted(n: int, one: str, many: str = "") -> str:
    """'1 class', '2,000 classes'; without a word for many, that for one and an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def image(source: str, description: str, css_class: str = "") -> str:
    """An ``<img>`` of a ``data:`` URL."""
    return (
        f'<img class="{css_class}" src="{source}" alt="{escaped(description)}" loading="lazy" '
        'draggable="false">'
    )


def scrolled(label: str) -> str:
    """Attributes of what scrolls by itself: reached by keyboard, and called by a label of HTML."""
    return f'tabindex="0" role="region" aria-label="{label}"'


def notice(text: str, kind: str = "note") -> str:
    """A boxed sentence of HTML; kind is "note" or "problem", which is read out."""
    role = "alert" if kind == "problem" else "note"
    return f'<div class="notice {kind}" role="{role}">{text}</div>'


def class_list(
    origin: str, classes: Iterable[tuple[str, Sequence[Picture]]], content: str = ""
) -> str:
    """An imported zip's classes: a thumbnail, the name and a count of each; marked by content."""
    classes = list(classes)
    items = "".join(
        f"<li>{image(thumbnail(pictures[0]), '')}<b>{escaped(name)}</b>"
        f"<span>{len(pictures):,}</span></li>"
        for name, pictures in classes
    )
    total = sum(len(pictures) for _, pictures in classes)
    return (
        f'<div class="class-list" data-content="{escaped(content)}">'
        f"<p>{counted(len(classes), 'class', 'classes')}, {counted(total, 'picture')} from "
        f"<b>{escaped(origin)}</b></p><ul>{items}</ul></div>"
    )
