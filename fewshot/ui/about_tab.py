"""The How it works tab: its text is in ``about.md``."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_TEXT = Path(__file__).with_name("about.md").read_text("utf-8")


def build_about_tab() -> None:
    """Lay out the tab."""
    gr.Markdown(
        _TEXT,
        elem_id="about",
        latex_delimiters=[
            {"left": "$$", "right": "$$", "display": True},
            {"left": "$", "right": "$", "display": False},
        ],
    )
