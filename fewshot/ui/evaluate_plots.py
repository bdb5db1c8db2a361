"""An evaluation's figures for Gradio's own plots, which know no error bars: they are drawn so.

A bar ends in a band that spans the interval and changes its colour at the mean; a line goes up and
down the interval at each point.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import gradio as gr
import pandas as pd

from fewshot.ui.evaluate_report import Report
from fewshot.ui.evaluate_request import METHOD_TITLES

# In the order of the colours on the cards, which are the style sheet's.
_PALETTE = (
    "#3f7fc4", "#259184", "#8a5cc2", "#c2752c", "#c4527a", "#7d8a2e", "#5566bb", "#8f897f",
    "#a8433a", "#4aa3b5", "#b08a1e", "#6b4f3a", "#2f6b45", "#d081b8", "#4d5a66", "#93b34a",
)  # fmt: skip
COLOURS = dict(zip(METHOD_TITLES.values(), cycle(_PALETTE), strict=False))
BELOW, UP_TO, ABOVE = "below the interval", "up to the mean", "above the mean"
_TOLD = "accuracy ± 95 %"


def bar_plot() -> gr.BarPlot:
    """Accuracy by method, empty. (A label instead of the title would push the legend out.)"""
    return gr.BarPlot(
        x="method", y="%", color="part", tooltip=["%", _TOLD], y_lim=[0, 100], x_title=" ",
        y_title="accuracy, %", color_title=" ", x_label_angle=-30, height=380, buttons=["export"],
        color_map={BELOW: "#5566bb", UP_TO: "#a3aee0", ABOVE: "#f0a94a"}, visible=False,
        title="Accuracy and its 95 % interval", show_label=False, elem_id="evaluate-bars",
        sort=list(METHOD_TITLES.values()),
    )  # fmt: skip


def line_plot() -> gr.LinePlot:
    """Accuracy against ways or shots, empty."""
    return gr.LinePlot(
        x="ways", y="%", color="method", tooltip=["%", _TOLD], y_title="accuracy, %",
        color_title=" ", x_axis_format="d", height=340, buttons=["export"], visible=False,
        show_label=False, elem_id="evaluate-lines",
    )  # fmt: skip


def plots_of(report: Report, sweep: str, *, going_on: bool = False) -> list[Any]:
    """Updates for the bars and the lines: one of them is shown; of one protocol alone the bars.

    While a sweep goes on lines are shown from the beginning: what Gradio hides and shows again in
    quick succession sometimes does not come back.

    Args:
        report: with a run or more.
        sweep: "ways", "shots" or "".
        going_on: whether there is more to come.
    """
    if sweep and (going_on or len(report.runs) > 1):
        return [gr.update(visible=False), _lines(report, sweep)]
    return [gr.update(value=bar_frame(report), visible=True), gr.update(visible=False)]


def bar_frame(report: Report) -> pd.DataFrame:
    """Three rows a method, from above: the interval's two parts, and what is below it."""
    rows = []
    for score in report.runs[-1][1].scores:
        title, told = METHOD_TITLES[score.method], _told(score.accuracy, score.ci95)
        (low, high), mean = _ends(score), 100 * score.accuracy
        # Vega lays the part that comes last lowest.
        parts = ((high - mean, ABOVE), (mean - low, UP_TO), (low, BELOW))
        rows += [(title, round(height, 2), part, told) for height, part in parts]
    return pd.DataFrame(rows, columns=["method", "%", "part", _TOLD])


def line_frame(report: Report, sweep: str) -> pd.DataFrame:
    """Four rows a method and run: the mean, both ends of its interval, the mean again."""
    rows = []
    for protocol, evaluation in report.runs:
        for score in evaluation.scores:
            title, told = METHOD_TITLES[score.method], _told(score.accuracy, score.ci95)
            middle = 100 * score.accuracy
            rows += [
                (protocol[sweep], round(y, 2), title, told) for y in (middle, *_ends(score), middle)
            ]
    return pd.DataFrame(rows, columns=[sweep, "%", "method", _TOLD])


def _lines(report: Report, sweep: str) -> Any:
    frame = line_frame(report, sweep)
    # Points on the limits would be cut off.
    x_low, x_high = frame[sweep].min(), frame[sweep].max()
    y_low, y_high = frame["%"].min(), frame["%"].max()
    # An axis shorter than 3 would be marked at halves, rounded: "1, 1, 2".
    x_room = max(0.5, 0.04 * (x_high - x_low), (3 - (x_high - x_low)) / 2)
    y_room = max(0.5, 0.06 * (y_high - y_low))
    return gr.LinePlot(
        value=frame, x=sweep, x_title=sweep, visible=True, title=f"Accuracy against {sweep}",
        color_map={title: COLOURS[title] for title in dict.fromkeys(frame["method"])},
        x_lim=[float(x_low - x_room), float(x_high + x_room)],
        y_lim=[float(y_low - y_room), float(min(y_high + y_room, 100.5))],
    )  # fmt: skip


def _ends(score) -> tuple[float, float]:
    """The interval in %, within 0 to 100."""
    half = 0.0 if score.ci95 != score.ci95 else score.ci95
    return 100 * max(0.0, score.accuracy - half), 100 * min(1.0, score.accuracy + half)


def _told(mean: float, half: float) -> str:
    return f"{100 * mean:.2f} ± {100 * half:.2f} %"
