"""The How it works tab: its text is in ``about.md``, and one list in the embedded CLIP's card."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from fewshot.ui.known_names import known_names_html

_TEXT = Path(__file__).with_name("about.md").read_text("utf-8")
_PLACE = "<!-- the names it knows -->"


def build_about_tab() -> None:
    """Lay out the tab."""
    gr.Markdown(
        _TEXT.replace(_PLACE, known_names_html()),
        elem_id="about",
        latex_delimiters=[
            {"left": "$$", "right": "$$", "display": True},
            {"left": "$", "right": "$", "display": False},
        ],
    )
