"""The right-hand side of the Evaluate tab: figures, plots, confusions and downloads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fewshot.types import InputError
from fewshot.ui import clip_files, evaluate_plots, files
from fewshot.ui.aloud import say_what
from fewshot.ui.busy import GENTLY
from fewshot.ui.errors import shown
from fewshot.ui.evaluate_report import Report
from fewshot.ui.evaluate_results import (
    confusion_at,
    confusion_choices,
    matrix_html,
    pictures_html,
    scores_html,
    summary,
)
from fewshot.ui.markup import QUIET, block, escaped, notice, several

WELCOME = """
<section class="welcome">
  <h2>How often are they right?</h2>
  <p>One picture proves little. Here every method goes through the same hundreds of small tasks,
  <em>episodes</em>: some classes of a data set are drawn, a few pictures of each are shown, others
  are asked. What comes of it is an accuracy with its interval, what the methods took for what, and
  the pictures they got wrong.</p>
</section>
"""
N_OUTPUTS = 10
_GONE = "These figures are no longer kept: press Evaluate again."
# A click on a number of the matrix; its place goes to the server, the mark moves at once.
_CHOOSE_CELL = """
element.addEventListener("click", (event) => {
  const cell = event.target.closest("[data-cell]");
  if (!cell) return;
  element.querySelectorAll("[data-cell]").forEach((other) => {
    other.classList.toggle("chosen", other === cell);
    other.setAttribute("aria-pressed", other === cell);
  });
  const place = cell.dataset.cell.split(",").map(Number);
  trigger("select", { index: place, value: cell.closest("[data-of]").dataset.of });
});
"""
# A table too wide for its place says so: where it scrolls by a finger, nothing else does.
_GOES_ON = """
const look = () => {
  const frame = element.querySelector(".scores-frame");
  element.classList.toggle("goes-on", frame?.scrollWidth > frame?.clientWidth + 1);
};
new ResizeObserver(look).observe(element);
new MutationObserver(look).observe(element, { childList: true, subtree: true });
"""
# The matrix may be as high as the window, and they lie below it.
_TO_THE_PICTURES = f"""() => requestAnimationFrame(() => {{
  const behind = document.querySelector("#evaluate-behind");
  behind.scrollIntoView({{{GENTLY}, block: "nearest"}});
  {say_what('behind.querySelector("figcaption").textContent')}
}})"""


@dataclass(frozen=True)
class EvaluatePanel:
    """The panel's components, in the order of the updates below.

    Attributes:
        message: the welcome, or a summary.
        scores: the table.
        bars, lines: plots.
        choice: of a confusion matrix.
        matrix: it.
        behind: pictures of one of its cells.
        csv, json: downloads.
        kept: the Report shown.
    """

    message: gr.HTML
    scores: gr.HTML
    bars: gr.BarPlot
    lines: gr.LinePlot
    choice: gr.Dropdown
    matrix: gr.HTML
    behind: gr.HTML
    csv: gr.DownloadButton
    json: gr.DownloadButton
    kept: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What the functions below return updates for."""
        return [getattr(self, name) for name in self.__dataclass_fields__]


def build_evaluate_panel() -> EvaluatePanel:
    """Lay out the panel and wire what concerns it alone.

    What is there only with figures is hidden by evaluate.css: of what Gradio itself hides and shows
    during a run, something was not there again at its end.
    """
    message = block(WELCOME, elem_id="evaluate-message")
    scores = block(elem_id="evaluate-scores", js_on_load=_GOES_ON)
    with gr.Row(elem_classes="tools", elem_id="evaluate-downloads"):
        downloads = [
            gr.DownloadButton(
                f"Download {kind}",
                size="sm",
                interactive=False,
                elem_id=f"evaluate-{kind.lower()}",
            )
            for kind in ("CSV", "JSON")
        ]
    bars, lines = evaluate_plots.bar_plot(), evaluate_plots.line_plot()
    choice = gr.Dropdown([], label="Confusion matrix of", elem_id="evaluate-confusion-of")
    matrix = block(elem_id="evaluate-matrix", js_on_load=_CHOOSE_CELL)
    behind = block(elem_id="evaluate-behind")
    kept = gr.State(None, time_to_live=7_200)
    choice.input(matrix_of, [kept, choice], [matrix, behind], trigger_mode="always_last", **QUIET)
    # Each click, in their order: of those that "always_last" puts off, the cell is forgotten.
    pressed = matrix.select(pictures_of_cell, kept, behind, trigger_mode="multiple", **QUIET)
    pressed.success(None, None, None, js=_TO_THE_PICTURES, **QUIET)
    return EvaluatePanel(message, scores, bars, lines, choice, matrix, behind, *downloads, kept)


def so_far(report: Report, sweep: str) -> list[Any]:
    """Updates for the panel's outputs while a run goes on."""
    disabled = gr.update(interactive=False)
    message = _remark(report) + notice(escaped(summary(report)) + _read_with(report))
    plots = evaluate_plots.plots_of(report, sweep, going_on=True)
    rest = [gr.skip(), "", "", disabled, disabled, gr.skip()]
    return [message, scores_html(report, going_on=True), *plots, *rest]


def finished(report: Report, sweep: str) -> list[Any]:
    """Updates for the panel's outputs at the end of a run."""
    from fewshot.evaluation_results import as_csv

    message = escaped(summary(report, stopped=not report.complete)) + _read_with(report)
    if report.skipped:
        message += f"<p>Left out:</p>{several(report.skipped)}"
    choices = confusion_choices(report)
    first = choices[0][1] if choices else ""
    data = json.dumps(report.as_json(), ensure_ascii=False, indent=1)
    table = as_csv(report.runs, stopped=not report.complete)
    downloads = {"evaluation.csv": table.encode(), "evaluation.json": data.encode()}
    return [
        _remark(report) + notice(message),
        scores_html(report),
        *evaluate_plots.plots_of(report, sweep),
        gr.update(choices=choices, value=first),
        matrix_html(report, first),
        "",
        *[
            gr.update(value=files.kept_file(name, content), interactive=True)
            for name, content in downloads.items()
        ],
        report,
    ]


def _remark(report: Report) -> str:
    # No alert: sent with all figures of a run, it would be read out again and again.
    return notice(escaped(report.remark), "warning") if report.remark else ""


def _read_with(report: Report) -> str:
    cautions = clip_files.cautioned(report.cautions, "under Settings in the Classify tab")
    return "".join(f"<p>{escaped(said)}</p>" for said in (report.explained, cautions) if said)


def plots_again(report: Report, sweep: str) -> list[Any]:
    """Updates for the panel's outputs: the plots alone, as they should stand already."""
    plots = evaluate_plots.plots_of(report, sweep)
    return [gr.skip(), gr.skip(), *plots, *[gr.skip()] * (N_OUTPUTS - 2 - len(plots))]


@shown
def matrix_of(report: Report | None, chosen: str | None) -> list[str]:
    """The matrix of a choice, and no pictures."""
    if report is None:
        raise InputError(_GONE)
    return [matrix_html(report, chosen or ""), ""]


@shown
def pictures_of_cell(report: Report | None, event: gr.EventData) -> str:
    """The pictures behind the cell that was pressed."""
    confusion = None if report is None else confusion_at(report, str(event.value))
    if confusion is None:
        raise InputError(_GONE)
    place, size = event.index, len(confusion.classes)
    if not (
        isinstance(place, list)
        and len(place) == 2
        and all(isinstance(i, int) and 0 <= i < size for i in place)
    ):
        raise InputError("There is no such cell: press a number of the matrix.")
    return pictures_html(report, str(event.value), *place)
