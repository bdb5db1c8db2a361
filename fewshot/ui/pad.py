"""A drawing pad: one pen, undo, clear, and a button that adds the drawing to a gallery."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from fewshot.types import InputError
from fewshot.ui import files, inputs
from fewshot.ui.arrivals import file_for_the_browser, for_the_browser, upload_over
from fewshot.ui.errors import shown
from fewshot.ui.markup import QUIET

_HERE = Path(__file__).parent
_JS = (_HERE / "pad.js").read_text("utf-8")
_ADD = (_HERE / "add_drawing.js").read_text("utf-8")
TRIES = 200  # ten seconds of waiting for a drawing
_NOT_ADDED = "is not among the pictures yet"
_TEMPLATE = """
<details class="pad"><summary aria-label="Draw one for ${label}">Draw one</summary>
  <div class="pad-paper"><canvas width="320" height="320" role="img" tabindex="-1"
  aria-label="Drawing pad for ${label}"></canvas><span class="pad-hint">Draw here</span></div>
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

    Returns:
        The pad, which changes with each drawing that is added; a gallery that was empty does not
        tell of its first picture where JavaScript puts it in.
    """
    pad = gr.HTML(
        "",
        label=label,
        elem_id=elem_id,
        html_template=_TEMPLATE,
        js_on_load=_JS,
        apply_default_css=False,
    )
    drawn = for_the_browser()
    # In steps, of which the last finds the gallery as it is by then.
    kept = pad.submit(keep_drawing, [pad, gallery], drawn, **QUIET)
    alone = kept.success(**upload_over(gallery.elem_id))
    alone.success(None, [drawn, gallery], [pad, gallery], js=_ADD, **QUIET)
    kept.failure(None, None, pad, js="() => 'failed'", **QUIET)
    return pad


def unsent_js(within: str) -> str:
    """For the browser: what the pad in sight is for whose drawing was not added, or nothing.

    A drawing that is on its way to the pictures is waited for.

    Args:
        within: CSS selector of what the pads lie in.
    """
    return f"""async () => {{
      const find = (state) => [...document.querySelectorAll("{within} canvas." + state)].find(
        (pad) => pad.closest("details").offsetParent !== null);
      for (let tries = 0; find("sending") && tries < {TRIES}; tries++)
        await new Promise((resolve) => setTimeout(resolve, 50));
      const seen = find("unsent") ?? find("sending");
      return seen ? seen.getAttribute("aria-label").replace("Drawing pad for", "").trim() : "";
    }}"""


def check_none_unsent(unsent: str) -> None:
    """Raise InputError for what :func:`unsent_js` found."""
    if unsent:
        raise InputError(
            f"The drawing on the pad for {unsent} {_NOT_ADDED}: press “Add drawing” there, or "
            "“Clear”."
        )


def wire_taking_back(pads: Sequence[gr.HTML], problem: gr.HTML) -> None:
    """Let what :func:`check_none_unsent` said go once a pad is empty again.

    Args:
        pads: of :func:`drawing_pad`.
        problem: where it is said.
    """
    js = f"(problem) => (problem?.includes({_NOT_ADDED!r}) ? '' : problem)"
    # A listener for each: one that has many triggers reads all of them whenever it is called.
    for pad in pads:
        pad.clear(None, problem, problem, js=js, **QUIET)


@shown
def keep_drawing(data_url: str | None, gallery: inputs.Gallery) -> dict[str, Any]:
    """The drawing as a file, called by its place in the gallery."""
    drawn = inputs.drawing(data_url, number=len(gallery or ()) + 1)
    return file_for_the_browser(files.kept_picture(drawn))
