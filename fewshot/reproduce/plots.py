"""Which curves are drawn of which records."""

from __future__ import annotations

import math
from pathlib import Path

from fewshot.atomic_write import write_atomically
from fewshot.reproduce.line_chart import Series, line_chart
from fewshot.reproduce.published import PEOPLE
from fewshot.reproduce.records import Records
from fewshot.types import InputError

COLOURS = {
    "siamese": "#3f7fc4",
    "prototypical": "#c4527a",
    "prototype": "#8a5cc2",
    "pixels": "#c2752c",
}
_GREY, _GREEN = "#8b949e", "#259184"


def plots_of(records: Records) -> dict[str, str]:
    """File name -> SVG, of the records that there are."""
    found = {
        "ways.svg": _ways(records),
        "ways-close.svg": _close(records, "ways", "1-shot"),
        "shots.svg": _shots(records),
        "shots-close.svg": _close(records, "shots", "20-way"),
    }
    return {name: svg for name, svg in found.items() if svg}


def write_plots(records: Records, folder: Path) -> list[Path]:
    """Write them; returns where."""
    paths = []
    for name, svg in plots_of(records).items():
        try:
            write_atomically(folder / name, svg.encode())
        except OSError as error:
            raise InputError(f"{folder / name} cannot be written ({error.strerror}).") from error
        paths.append(folder / name)
    return paths


def _ways(records: Records) -> str | None:
    curves = _curves(records, "ways")
    if not curves:
        return None
    ways = sorted({x for curve in curves for x, _, _ in curve.points})
    chance = Series("chance, 1/N", [(n, 100 / n, 0.0) for n in ways], _GREY)
    people = Series("people (Lake et al. 2015)*", [(20, PEOPLE.accuracy, 0.0)], _GREEN)
    shown = [chance, *curves, people] if ways[0] <= 20 <= ways[-1] else [chance, *curves]
    return line_chart("Accuracy against ways, 1-shot", "ways", "accuracy", shown, (0, 100))


def _shots(records: Records) -> str | None:
    curves = _curves(records, "shots")
    if not curves:
        return None
    return line_chart("Accuracy against shots, 20-way", "shots", "accuracy", curves, (20, 100))


def _close(records: Records, axis: str, fixed: str) -> str | None:
    """The trained methods alone, whose curves the whole range lays over each other."""
    curves = [one for one in _curves(records, axis) if not one.name.startswith("pixels")]
    if not curves:
        return None
    least = min(y - half for one in curves for _, y, half in one.points)
    foot = 5 * math.floor(least / 5)
    title = f"Accuracy against {axis}, {fixed}, from {foot:g} % on"
    return line_chart(title, axis, "accuracy", curves, (foot, 100))


def _curves(records: Records, axis: str) -> list[Series]:
    """A curve for each method and set of characters; dashed for those trained on."""
    curves = []
    for method, colour in COLOURS.items():
        for split, dashed in (("evaluation", False), ("training", True)):
            points = []
            for run in records.get(f"{axis}-{split}", {}).get("runs", ()):
                for result in run["results"]:
                    if result["method"] == method:
                        half = 100 * result["ci95"]
                        points.append((run["protocol"][axis], 100 * result["accuracy"], half))
            if len(points) > 1:
                name = f"{method}, {'seen' if dashed else 'unseen'}"
                curves.append(Series(name, sorted(points), colour, dashed))
    return curves
