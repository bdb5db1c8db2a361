"""A drawing pad: one pen, undo, clear, and a button that adds the drawing to a gallery."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from fewshot.ui import files, inputs
from fewshot.ui.errors import shown

_JS = Path(__file__).with_name("pad.js").read_text("utf-8")
_TEMPLATE = """
<details class="pad"><summary>Draw one</summary>
  <div class="pad-paper"><canvas width="320" height="320" role="img" aria-label="Drawing pad for
  ${label}"></canvas><span class="pad-hint">Draw here</span></div>
  <div class="pad-tools">
    <button type="button" data-do="add" class="pad-add">Add drawing</button>
    <button type="button" data-do="undo">Undo</button>
    <button type="button" data-do="clear">Clear</button>
  </div>
</details>
"""


def drawing_pad(label: str, elem_id: str, gallery: gr.Gallery) -> gr.HTML:
    """A pad, collapsed until opened, whose drawings go to a gallery.

    Gradio's own Sketchpad takes a toolbar, a brush to be chosen first and a WebGL context each, of
    which a browser has about sixteen; this one is a canvas.

    Args:
        label: what it draws, for screen readers.
        elem_id: of the component.
        gallery: where drawings are added.
    """
    pad = gr.HTML(
        "",
        label=label,
        elem_id=elem_id,
        html_template=_TEMPLATE,
        js_on_load=_JS,
        apply_default_css=False,
    )
    pad.submit(
        add_drawing,
        [pad, gallery],
        [pad, gallery],
        api_visibility="private",
        show_progress="hidden",
    )
    return pad


@shown
def add_drawing(data_url: str | None, gallery: inputs.Gallery) -> tuple[str, Sequence]:
    """The pad's new value, empty, and the gallery with the drawing at its end."""
    already = list(gallery or ())
    picture = inputs.drawing(data_url, number=len(already) + 1)
    return "", [*already, files.kept_picture(picture)]
