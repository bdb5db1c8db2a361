"""The right-hand side: messages, the table, the cards, the downloads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fewshot.class_names import quoted
from fewshot.report import as_csv, as_json
from fewshot.types import Comparison, InputError
from fewshot.ui import files
from fewshot.ui.aloud import say_what
from fewshot.ui.cards import cards_html, table_html
from fewshot.ui.errors import shown
from fewshot.ui.markup import QUIET, block, escaped
from fewshot.ui.results import Results
from fewshot.ui.similarities import similarities_html

WELCOME = """
<section class="welcome">
  <h2>What will they see?</h2>
  <ol>
    <li><b>Show.</b> Say what kind of pictures they are, name two or more classes and give each a
    picture or a few: photographs, scans, or drawings made right here.</li>
    <li><b>Ask.</b> Add a picture, or many, that you want to have classified.</li>
    <li><b>Compare.</b> Press <em>Classify</em>. Five kinds of classifier answer side by side, each
    with those of your pictures that it finds most similar.</li>
  </ol>
  <p>No pictures at hand? Any of the examples above shows the idea in a second or two.</p>
</section>
"""
N_OUTPUTS = 9  # of the panel
# (row, HTML by method) of a look at what answers rest on.
Looks = tuple[int, dict[str, str]]
# A click on a row, or on the button in it, chooses the row; the mark moves at once.
_CHOOSE_ROW = """
element.addEventListener("click", (event) => {
  const row = event.target.closest("[data-query]");
  if (!row) return;
  element.querySelectorAll("[data-query]").forEach((other) => {
    other.classList.toggle("chosen", other === row);
    other.querySelector("button").setAttribute("aria-pressed", other === row);
  });
  trigger("select", { index: Number(row.dataset.query) });
});
// A table that scrolls stays where it was when another takes its place.
new MutationObserver(() => {
  const row = element.querySelector("tr.chosen"), frame = row?.closest(".table-frame");
  if (!frame) return;
  const above = row.closest("table").tHead.offsetHeight;
  const seen = row.offsetTop - above >= frame.scrollTop &&
    row.offsetTop + row.offsetHeight <= frame.scrollTop + frame.clientHeight;
  if (!seen) frame.scrollTop = row.offsetTop - above;
}).observe(element, { childList: true, subtree: true });
"""
_SAY_VERDICT = f"""() => requestAnimationFrame(() => {{
  const verdict = document.querySelector("#cards .verdict");
  {say_what('verdict.textContent.replace(/^. /, "")')}  // without the sign before it
}})"""


@dataclass(frozen=True)
class ResultsPanel:
    """The panel's components.

    Attributes:
        message: the welcome, or a note.
        table: queries × methods.
        look, look_progress: asks what each answer rests on; how far that is.
        cards: one query's.
        similarities: the heat maps, of all queries.
        csv, json: downloads.
        kept: the Results shown.
        row: the number of the query whose cards are shown.
        looks: (row, HTML by method) of the last look at what answers rest on, or None.
    """

    message: gr.HTML
    table: gr.HTML
    look: gr.Button
    look_progress: gr.HTML
    cards: gr.HTML
    similarities: gr.HTML
    csv: gr.DownloadButton
    json: gr.DownloadButton
    kept: gr.State
    row: gr.State
    looks: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What :func:`results_shown` and its like return updates for, in their order."""
        shown = [self.message, self.table, self.cards, self.similarities]
        return [*shown, self.csv, self.json, self.kept, self.row, self.looks]


def build_results_panel() -> ResultsPanel:
    """Lay out the panel and wire what concerns it alone."""
    message = block(WELCOME, elem_id="message")
    table = block(elem_id="table", js_on_load=_CHOOSE_ROW)
    with gr.Row(elem_classes="tools", elem_id="looking"):
        look = gr.Button("What do the answers rest on?", size="sm", elem_id="look")
        look_progress = block(elem_id="look-progress")
    cards = block(elem_id="cards")
    similarities = block(elem_id="similarities")
    with gr.Row(elem_classes="tools", elem_id="downloads"):
        buttons = [
            gr.DownloadButton(f"Download {kind}", size="sm", visible=False, elem_id=f"as-{kind}")
            for kind in ("CSV", "JSON")
        ]
    kept = gr.State(None, time_to_live=7_200)
    row = gr.State(0, time_to_live=7_200)
    looks = gr.State(None, time_to_live=7_200)
    panel = ResultsPanel(
        message, table, look, look_progress, cards, similarities, *buttons, kept, row, looks
    )
    # Each click, in their order: of those that "always_last" puts off, the row is forgotten.
    chosen = table.select(
        cards_of_row, [kept, looks], [cards, row], trigger_mode="multiple", **QUIET
    )
    chosen.success(None, None, None, js=_SAY_VERDICT, **QUIET)
    return panel


@shown
def cards_of_row(
    results: Results | None, looks: Looks | None, event: gr.EventData
) -> tuple[str, int]:
    """The cards of the query whose row was chosen, and its number."""
    row = event.index
    if not isinstance(row, int) or not 0 <= row < len(still_kept(results).queries):
        raise InputError("There is no such row: press Classify again.")
    return cards_with_looks(results, row, looks), row


@shown
def cards_after_look(results: Results | None, row: int, looks: Looks | None) -> str:
    """As :func:`cards_with_looks`, and told where the look is if another row was chosen since."""
    if looks and looks[0] != row:
        where = quoted(still_kept(results).comparison.queries[looks[0]])
        gr.Info(f"What the answers rest on is shown in the row of {escaped(where)}.")
    return cards_with_looks(results, row, looks)


def cards_with_looks(results: Results | None, row: int, looks: Looks | None) -> str:
    """The cards of a query, and what its answers rest on if that was looked at last."""
    seen = looks[1] if looks and looks[0] == row else None
    return cards_html(still_kept(results), row, seen)


def still_kept(results: Results | None) -> Results:
    """The results, or InputError where they were deleted since."""
    if results is None:
        raise InputError("These results are no longer kept: press Classify again.")
    return results


def still_valid(results: Results | None, asked: str, answered: str) -> Results:
    """The results, or InputError where they are gone or for other inputs.

    Args:
        results: those shown.
        asked: what the inputs hold, as ``outdated.js`` puts it.
        answered: what they held for the results.
    """
    if asked != answered:
        raise InputError("What you show has changed since these answers: press Classify first.")
    return still_kept(results)


def results_shown(
    results: Results,
    full: Comparison,
    run_with: Mapping[str, Any],
    message: str,
    left_out: Sequence[str] = (),
    row: int = 0,
) -> list[Any]:
    """Updates for the panel's outputs.

    Args:
        results: to show.
        full: what the downloads hold.
        run_with: of :func:`fewshot.report.conditions`, for the JSON.
        message: HTML above it.
        left_out: a sentence for each file of an imported zip that could not be used.
        row: the query whose cards are shown first.
    """
    data = json.dumps(as_json(full, left_out, run_with), ensure_ascii=False, indent=1)
    downloads = {"results.csv": as_csv(full).encode(), "results.json": data.encode()}
    buttons = [
        gr.update(value=files.kept_file(name, content), visible=True)
        for name, content in downloads.items()
    ]
    shown = [table_html(results, row), cards_html(results, row), similarities_html(results)]
    return [message, *shown, *buttons, results.without_maps(), row, None]


def same_row(before: Results | None, row: int, results: Results) -> int:
    """The row of the query that was looked at before: whether it is right now is asked first.

    Args:
        before: the results that were shown, if any.
        row: of them, chosen.
        results: to be shown now; the first row where they lack that query.
    """
    if before is None or row >= len(before.queries):
        return 0
    looked_at = before.queries[row]
    if row < len(results.queries) and results.queries[row] == looked_at:  # of several alike
        return row
    return results.queries.index(looked_at) if looked_at in results.queries else 0


def nothing_shown(message: str = WELCOME) -> list[Any]:
    """Updates for the panel's outputs: as at the start."""
    hidden = gr.update(value=None, visible=False)
    return [message, "", "", "", hidden, hidden, None, 0, None]
