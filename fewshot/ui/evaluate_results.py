"""An evaluation's figures as HTML: a table, confusion matrices, the pictures behind a cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fewshot.ui.evaluate_plots import COLOURS
from fewshot.ui.evaluate_report import MOST_CLASSES, REMEMBERED, Confusion, Report
from fewshot.ui.evaluate_request import METHOD_TITLES
from fewshot.ui.markup import counted, escaped, image, number, scrolled

if TYPE_CHECKING:
    from fewshot.evaluation_results import MethodScore

_TOP5 = "Top 5"
_FIGURES = {
    "Accuracy ± 95 %": "mean over episodes, and the half-width of its 95 % interval: for "
    "other tasks of these pictures; of other pictures it says the less the fewer these are",
    "Calibration error": "how far sureness and accuracy lie apart on average; 0 is perfect",
    _TOP5: "queries whose class is among the five most probable; — up to five ways, where it "
    "always is",
    "Episodes": "tasks drawn, the same for every method",
    "Queries": "pictures classified in all",
    "Episodes per second": "fitting and classifying, embeddings given",
}


def scores_html(report: Report, *, going_on: bool = False) -> str:
    """The table: a line for each method of each run; with its colour where lines are drawn.

    Args:
        report: with a run or more.
        going_on: whether there is more to come.
    """
    keyed = len(report.runs) > 1 or (going_on and report.planned > 1)
    against = report.runs[0][0]["against"]
    titles = dict(_FIGURES)
    if against:
        accuracy, *rest = _FIGURES.items()
        what = f"Minus {METHOD_TITLES[against]}, points"
        told = "mean difference on the same episodes, and its 95 % interval"
        titles = dict([accuracy, (what, told), *rest])
    top5 = any(protocol["ways"] > 5 for protocol, _ in report.runs)
    if not top5:
        del titles[_TOP5]
    heads = "".join(f'<th scope="col" title="{told}">{text}</th>' for text, told in titles.items())
    bodies = []
    for protocol, evaluation in report.runs:
        rows = "".join(
            _score(score, protocol["ways"], bool(against), top5, keyed)
            for score in evaluation.scores
        )
        name = task(protocol)
        group = (
            f'<tr class="task"><th scope="rowgroup" colspan="{len(titles) + 1}">{name}</th></tr>'
        )
        bodies.append(f"<tbody>{group if len(report.runs) > 1 else ''}{rows}</tbody>")
    return (
        f'<div class="scores-frame" {scrolled("How each method did")}><table class="scores"><thead>'
        f'<tr><th scope="col">Method</th>{heads}</tr></thead>{"".join(bodies)}</table></div>'
    )


def task(protocol: dict) -> str:
    """What a run's episodes are like: "5-way 1-shot"."""
    return f"{protocol['ways']}-way {protocol['shots']}-shot"


def summary(report: Report, *, stopped: bool = False) -> str:
    """What was evaluated on what, in a sentence or two."""
    protocol, evaluation = report.runs[-1]
    kinds = task(protocol) if report.planned == 1 else f"{report.planned} kinds of"
    if stopped and report.planned > 1:
        kinds = f"{len(report.runs)} of {kinds}"
    text = (
        f"{kinds} episodes with {counted(protocol['queries'], 'query', 'queries')} a class, drawn "
        f"from {len(report.classes):,} classes with {report.n_pictures:,} pictures: "
        f"{protocol['dataset']}."
    )
    if stopped:
        done = evaluation.scores[0].episodes
        which = "" if report.planned == 1 else f" of the {task(protocol)} ones"
        text = f"Stopped after {done:,} of {report.asked:,} episodes{which}. {text}"
    return text


def confusion_choices(report: Report) -> list[tuple[str, str]]:
    """(label, value) of each matrix there is; the value is what :func:`matrix_html` takes."""
    many = len(report.runs) > 1
    return [
        (
            METHOD_TITLES[method] + (f", {task(report.runs[run][0])}" if many else ""),
            f"{run}:{method}",
        )
        for run, method in report.confusions
    ]


def confusion_at(report: Report, chosen: str) -> Confusion | None:
    """The confusions of one of those choices; None for any other text."""
    return {f"{run}:{method}": c for (run, method), c in report.confusions.items()}.get(chosen)


def matrix_html(report: Report, chosen: str) -> str:
    """The confusion matrix of a choice, its cells buttons."""
    confusion = confusion_at(report, chosen)
    if confusion is None:
        return ""
    columns = "".join(f'<th scope="col">{_face(report, int(c))}</th>' for c in confusion.classes)
    rows = "".join(_matrix_row(report, confusion, t) for t in range(len(confusion.classes)))
    return (
        f'<figure class="confusion" data-of="{escaped(chosen)}"><figcaption>'
        f"{_caption(confusion)}</figcaption>"
        f'<div class="confusion-frame" {scrolled("What was taken for what")}><table><thead><tr>'
        f"<td>true ↓ answered →</td>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
        "</figure>"
    )


def pictures_html(report: Report, chosen: str, true: int, answered: int) -> str:
    """The pictures behind a cell, at its positions in the matrix."""
    confusion = confusion_at(report, chosen)
    at = (confusion.examples[:, :2] == (true, answered)).all(1)
    pictures = [int(i) for i in confusion.examples[at, 2]]
    count = int(confusion.counts[true, answered])
    names = [escaped(report.classes[confusion.classes[i]]) for i in (true, answered)]
    times = "once" if count == 1 else f"{count:,} times"
    said = f"<b>{names[0]}</b> was answered as <b>{names[1]}</b> {times}"
    if true == answered:
        said = f"<b>{names[0]}</b> was answered rightly {times}"
    if len(pictures) < count:
        pieces = "1 picture" if len(pictures) == 1 else f"{len(pictures)} different pictures"
        said += f": the first {pieces}" if len(pictures) == REMEMBERED else f": {pieces}"
    images = "".join(
        f"<li>{image(report.thumbnails[i], 'A picture behind this cell')}</li>" for i in pictures
    )
    return f'<figure class="behind"><figcaption>{said}.</figcaption><ul>{images}</ul></figure>'


def _score(score: MethodScore, ways: int, compared: bool, with_top5: bool, keyed: bool) -> str:
    title = METHOD_TITLES[score.method]
    # The plot's own key goes by one line, which a narrow one has no room for.
    key = f'<i class="key" style="background:{COLOURS[title]}"></i>' if keyed else ""
    difference = ""
    if compared:
        text = "—" if score.difference is None else _plus_minus(*score.difference, signed=True)
        difference = f"<td>{text}</td>"
    top5 = f"<td>{number(100 * score.top5)} %</td>" if ways > 5 else "<td>—</td>"
    # The time of a moment: more digits of it would be others the next time.
    pace = float(f"{score.episodes_per_second:.2g}")
    told_pace = f"{pace:,.{0 if pace >= 10 else 1}f}"
    return (
        f'<tr data-method="{score.method}"><th scope="row">{key}{title}</th>'
        f'<td class="accuracy">{_plus_minus(score.accuracy, score.ci95)}</td>{difference}'
        f"<td>{number(100 * score.calibration_error, 1)} %</td>{top5 if with_top5 else ''}"
        f"<td>{score.episodes:,}</td><td>{score.queries:,}</td><td>{told_pace}</td></tr>"
    )


def _plus_minus(mean: float, half: float, *, signed: bool = False) -> str:
    sign = "+" if signed and mean > 0 else ""
    text = f"{sign}{number(100 * mean)}"
    if not math.isnan(half):
        text += f" ± {number(100 * half)}"
    return text if signed else f"{text} %"  # a difference is in points


def _face(report: Report, class_id: int, words: str = "") -> str:
    name = report.classes[class_id]
    # Beside words that say the name a description would be read as the name once more.
    face = image(report.faces[class_id], "" if words else name)
    return f'<span class="face" title="{escaped(name)}">{face}{words}</span>'


def _matrix_row(report: Report, confusion: Confusion, true: int) -> str:
    class_id = int(confusion.classes[true])
    name = report.classes[class_id]
    asked = max(1, int(confusion.counts[true].sum()))
    cells = []
    for answered, count in enumerate(confusion.counts[true].tolist()):
        if not count:
            cells.append("<td></td>")
            continue
        kind = "right" if true == answered else "wrong"
        other = escaped(report.classes[int(confusion.classes[answered])])
        said = f"{escaped(name)}, answered as {other}: {count:,}"
        cells.append(
            f'<td class="{kind}" style="--share:{100 * count / asked:.0f}%">'
            f'<button type="button" data-cell="{true},{answered}" aria-pressed="false" '
            f'aria-label="{said}" title="{said}">{count:,}</button></td>'
        )
    head = _face(report, class_id, f"<b>{escaped(name)}</b>")
    return f'<tr><th scope="row">{head}</th>{"".join(cells)}</tr>'


def _caption(confusion: Confusion) -> str:
    shown, in_all = len(confusion.classes), confusion.n_classes
    wrong = "1 wrong answer" if confusion.n_errors == 1 else f"{confusion.n_errors:,} wrong answers"
    said = f"{wrong} in all"
    if in_all > MOST_CLASSES:
        said += f"; the {shown} most confused of {in_all:,} classes are shown"
    elif shown < in_all:
        said += f"; the {shown} of {in_all} classes that came up are shown"
    return (
        f"{said}. Press a number to see the pictures behind it; the diagonal holds the right "
        "answers."
    )
