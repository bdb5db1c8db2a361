"""Results as HTML: one card per method for a query, and a table of many queries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fewshot.types import MethodResult, Neighbour
from fewshot.ui.engine import BASELINE_TITLE, TITLES
from fewshot.ui.looks import LEGEND
from fewshot.ui.markup import escaped, image, notice, number
from fewshot.ui.results import Results, n_right, odd_ones, percent, raw, verdict

TOP = 5
MOST_ROWS = 12  # of a table that is shown whole
# Letters of a word that fits under a small picture, whichever they are (“swimming” does not);
# smaller type has room for two or three more.
SHORT_WORD = 7

# What a method goes by, in one line under its answer.
_LINES = {
    "siamese": "Asks of each pair: are these two the same class?",
    "triplet": "Measures the distance to each of your pictures.",
    "clip": "Read the names and descriptions alone, never your pictures.",
    "clip-adapter": "Read the names and looked at your pictures: both count.",
}
_NAMES_ALONE = "Your pictures do not tell clearly more than the names: the names alone count."
_EVIDENCE = {
    "siamese": "Nearest pictures: similarity, and “same class” probability",
    "triplet": "Nearest pictures: similarity, and squared distance",
    "finetune": "Nearest pictures: similarity",
    "clip": "Nearest pictures to CLIP’s eye, which its answer ignores",
    "clip-adapter": "Nearest pictures to CLIP’s eye: similarity",
}
# What a method compares classes by, before the softmax: Prediction.scores.
_MEASURES = {
    "siamese": "mean logit of “same class”: above 0 it leans to yes",
    "triplet": "minus the squared distance: 0 is identical, −4 is opposite",
    "finetune": "cosine to the tuned prototype: 1 is identical",
    "clip": "cosine of picture and name: 1 is identical",
    "clip-adapter": "cosine to the name, plus what nearby pictures of the class add",
}
_MEASURED = "".join(f"<li><b>{TITLES[name]}</b>: {what}</li>" for name, what in _MEASURES.items())
_READING = f"""
<aside class="reading"><h3>How to read this</h3>
<p><b>%</b> shares one whole among <em>your</em> classes: a softmax. Over a few names it can be near
100% for a picture of none of them; it is no calibrated probability.</p>
<p>The <span class="raw">small number</span> behind it is the method’s own measure, of which the
softmax is made, times a temperature. Compare it within one card only.</p>
<ul>{_MEASURED}</ul></aside>
"""


def cards_html(results: Results, query: int, looks: Mapping[str, str] | None = None) -> str:
    """A query's picture, what the methods make of it, and their cards.

    Args:
        results: to show.
        query: its number.
        looks: by method, HTML of what its answer rests on, where that was asked for.
    """
    looks = looks or {}
    cards = "".join(_card(results, query, name, looks.get(name, "")) for name in TITLES)
    note = notice(escaped(results.note)) if results.note else ""
    if looks:
        note += notice(LEGEND)
    return f'<section class="answer">{_question(results, query)}{note}<div class="cards">{cards}{_READING}</div></section>'  # noqa: E501


def table_html(results: Results, chosen: int = 0) -> str:
    """Queries × methods, or nothing for a single query; a row is chosen by its button.

    Args:
        results: of a run.
        chosen: the row whose cards are shown to begin with.
    """
    n_queries = len(results.queries)
    if n_queries < 2:
        return ""
    heads = "".join(f'<th scope="col">{title}</th>' for title in TITLES.values())
    rows = "".join(_row(results, query, query == chosen) for query in range(n_queries))
    frame, odd_alone = "table-frame", ""
    if n_queries > MOST_ROWS:
        frame, odd_alone = "table-frame long", _odd_alone(results)
    return (
        f'{odd_alone}<div class="{frame}"><table class="queries"><thead><tr>'
        f'<th scope="col">{n_queries:,} pictures</th>{heads}</tr>{_tally(results)}</thead>'
        f"<tbody>{rows}</tbody></table></div>"
        '<p class="hint">Choose a row to see its cards; ≠ marks those on which they disagree.</p>'
    )


def _odd_alone(results: Results) -> str:
    """A box whose tick leaves only those rows in sight that are worth a look: see the styles."""
    n_queries = len(results.queries)
    n_odd = sum(not results.comparison.agree(query) for query in range(n_queries))
    if n_odd in (0, n_queries):
        return ""
    which = "one" if n_odd == 1 else f"{n_odd:,}"
    box = '<input type="checkbox">'
    return f'<label class="odd-alone">{box} Only the {which} on which they disagree</label>'


def _question(results: Results, query: int) -> str:
    comparison, answer = results.comparison, results.answers[query]
    agree = comparison.agree(query)
    truth = "" if answer is None else f" <span>In truth: <b>{escaped(answer)}</b>.</span>"
    blank = ""
    if comparison.is_blank(query):
        blank = "<p>No drawing was found in it: what is said of it rests on nothing.</p>"
    return (
        f'<div class="question {"agree" if agree else "disagree"}">'
        f"{image(results.queries[query], 'The picture to classify')}"
        f"<div><small>{escaped(comparison.queries[query])}</small>"
        f'<p class="verdict"><i aria-hidden="true">{"=" if agree else "≠"}</i> '
        f"{escaped(verdict(comparison, query))}{truth}</p>{blank}</div></div>"
    )


def _card(results: Results, query: int, name: str, look: str) -> str:
    head = f"<h3>{TITLES[name]}</h3>"
    result = results.comparison.results.get(name)
    if result is None:
        why = results.comparison.unavailable.get(name, "It was not asked.")
        return (
            f'<article class="card {name} absent" data-method="{name}"><header>{head}'
            f'<span class="mark">not available</span></header><p class="why">{escaped(why)}</p>'
            "</article>"
        )
    label = result.prediction.labels[query]
    odd = name in odd_ones(results.comparison, query)
    differs = '<span class="mark odd">≠ disagrees</span>' if odd else ""
    line = _line(results, query, name)
    return (
        f'<article class="card {name}" data-method="{name}"><header>{head}'
        f'<span class="time">{_milliseconds(result.milliseconds[query])}</span></header>'
        f'<p class="label"><b>{escaped(label)}</b>{_right(results, query, label)}{differs}</p>'
        f'<p class="line">{line}</p>{bars(result, query, name)}{look}'
        f"<h4>{_EVIDENCE[name]}</h4>{_evidence(results, result, query, name)}</article>"
    )


def _right(results: Results, query: int, label: str) -> str:
    answer = results.answers[query]
    if answer is None:
        return ""
    right = label == answer
    return f'<span class="mark {"right" if right else "wrong"}">{"✓ right" if right else "✗ wrong"}</span>'  # noqa: E501


def _milliseconds(elapsed: float) -> str:
    return f"{elapsed:.1f} ms" if elapsed < 100 else f"{elapsed:,.0f} ms"


def _line(results: Results, query: int, name: str) -> str:
    if name == "finetune":
        return _tuned(results, query)
    return _NAMES_ALONE if name == "clip-adapter" and _as_by_name(results) else _LINES[name]


def _as_by_name(results: Results) -> bool:
    """Whether the adapter gave the pictures no weight: it then scores exactly as zero-shot does."""
    names, both = (results.comparison.results.get(name) for name in ("clip", "clip-adapter"))
    if names is None or both is None:
        return False
    return np.array_equal(names.prediction.scores, both.prediction.scores)


def _tuned(results: Results, query: int) -> str:
    also = ["Also used the other queries."] if results.transductive else []
    also += ["Tuned the tower’s last block, too."] if results.last_block else []
    baseline = _baseline(results, query)
    return f"{baseline}. {' '.join(also)}" if also else baseline


def _baseline(results: Results, query: int) -> str:
    if results.baseline is None:
        return "Prototypes, tuned to your pictures"
    prediction = results.baseline.prediction
    label, top = prediction.labels[query], prediction.probabilities[query].max()
    return f"{BASELINE_TITLE}: <b>{escaped(label)}</b> {percent(float(top))}"


def bars(result: MethodResult, query: int, method: str) -> str:
    """The most probable classes of a query: share, and the method's own measure beside it."""
    row, scores = result.prediction.probabilities[query], result.prediction.scores[query]
    items = "".join(
        f"<li>{_bar_name(result.prediction.classes[i])}"
        f'<span class="track"><i style="width:{100 * row[i]:.1f}%"></i></span>'
        f'<span class="share" title="{row[i]:.4f}">{percent(float(row[i]))}</span>'
        f'<span class="raw" title="{_MEASURES[method]}">{raw(float(scores[i]))}</span></li>'
        for i in np.argsort(-row, kind="stable")[:TOP]
    )
    return f'<ol class="bars">{items}</ol>'


def _bar_name(label: str) -> str:
    whole = f' title="{escaped(label)}"' if len(label) > SHORT_WORD else ""  # it may be cut
    return f"<span{whole}>{escaped(label)}</span>"


def _evidence(results: Results, result: MethodResult, query: int, name: str) -> str:
    figures = []
    for neighbour in result.neighbours[query]:
        own = _own_measure(neighbour, name)
        similarity = number(neighbour.similarity)
        told = f"{neighbour.file}: similarity {similarity}{own and ', ' + own}"
        figures.append(
            f'<figure title="{escaped(told)}">'
            f"{image(results.supports[neighbour.position], f'A picture of {neighbour.label}')}"
            f"<figcaption>{_name(neighbour.label)}<span>{similarity}</span>"
            f"{own and f'<span>{own}</span>'}</figcaption></figure>"
        )
    return f'<div class="evidence">{"".join(figures)}</div>'


def _name(label: str) -> str:
    long = any(len(word) > SHORT_WORD for word in label.split())
    return f"<b{' class=long' if long else ''}><bdi>{escaped(label)}</bdi></b>"


def _own_measure(neighbour: Neighbour, name: str) -> str:
    """What the method itself says of a support picture, where that is more than similarity."""
    value = neighbour.measure
    if value is None:
        return ""
    return {"siamese": f"same: {number(value)}", "triplet": f"d²: {number(-value)}"}.get(name, "")


def _tally(results: Results) -> str:
    """A row that says how many each method got right, where the answers are known."""
    if not any(answer is not None for answer in results.answers):
        return ""
    cells = []
    for name in TITLES:
        if name in results.comparison.results:
            right, known = n_right(results, name)
            cells.append(f"<td>{right} of {known} right</td>")
        else:
            cells.append("<td>—</td>")
    return f'<tr class="tally"><th scope="row">Score</th>{"".join(cells)}</tr>'


def _row(results: Results, query: int, is_chosen: bool) -> str:
    comparison = results.comparison
    agree = comparison.agree(query)
    odd = "" if agree else '<i class="odd" title="They disagree">≠</i>'
    cells = "".join(_cell(results, query, name) for name in TITLES)
    blank = ""
    if comparison.is_blank(query):
        blank = '<i class="odd" title="No drawing was found in it">∅</i>'
    # To begin with; after that the browser moves the mark.
    chosen = ' class="chosen"' if is_chosen else ""
    alike = " data-agree" if agree else ""
    pressed = "true" if is_chosen else "false"
    name = escaped(comparison.queries[query])
    return (
        f'<tr data-query="{query}"{chosen}{alike}><th scope="row">'
        f'<button type="button" aria-pressed="{pressed}">'
        f'{image(results.queries[query], "")}<span title="{name}">{name}</span>'
        f"{odd}{blank}</button></th>{cells}</tr>"
    )


def _cell(results: Results, query: int, name: str) -> str:
    result = results.comparison.results.get(name)
    if result is None:
        return '<td class="absent">—</td>'
    label = result.prediction.labels[query]
    answer = results.answers[query]
    kind = "" if answer is None else "right" if label == answer else "wrong"
    sign = {"": "", "right": '<i class="right">✓</i>', "wrong": '<i class="wrong">✗</i>'}[kind]
    top = float(result.prediction.probabilities[query].max())
    whole = f' title="{escaped(label)}"' if len(label) > SHORT_WORD else ""  # it may be cut
    breakable = escaped(label).replace("_", "_<wbr>")  # as names of folders are
    return f"<td><b{whole}>{breakable}</b> <span>{percent(top)}</span>{sign}</td>"
