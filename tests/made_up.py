"""Pictures, answers and tasks of no meaning, for tests of what the page makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fewshot.handwriting import draw
from fewshot.images import support_set
from fewshot.types import Comparison, MethodResult, Neighbour, Picture, Prediction
from fewshot.ui import inputs
from fewshot.ui.engine import TITLES
from fewshot.ui.results import Results, results_of

CLASSES = ("Oru", "<b>Tavek</b> ${1}")


def picture(glyph: int, drawer: int, name: str = "a.png") -> Picture:
    return Picture(name, draw(glyph, drawer))


def write_png(path: Path, glyph: int = 0, drawer: int = 0) -> str:
    Image.fromarray(draw(glyph, drawer)).save(path)
    return str(path)


def answer(*first: float, evidence: bool = True) -> MethodResult:
    """A method's answer for two classes: each query's probability of the first."""
    probabilities = np.array([[p, 1 - p] for p in first], np.float32)
    prediction = Prediction(
        CLASSES,
        probabilities,
        probabilities,
        np.full((len(first), 2), 0.25, np.float32) if evidence else None,
    )
    neighbours = (Neighbour(0, "Oru/1.png", "Oru", 0.75, 0.25 if evidence else None),)
    return MethodResult(prediction, np.full(len(first), 12.34), (neighbours,) * len(first))


def comparison(**results: MethodResult) -> Comparison:
    n_queries = len(next(iter(results.values())).milliseconds)
    names = tuple(f"q{i}.png" for i in range(n_queries))
    absent = {name: "Not <here>." for name in TITLES if name not in results}
    return Comparison(CLASSES, names, results, absent)


def results(full: Comparison, known: dict[int, str] | None = None, **more) -> Results:
    support = support_set([("Oru", [picture(0, 1)]), ("Tavek", [picture(1, 1)])])
    queries = [picture(2, i) for i in range(len(full.queries))]
    answers = {queries[i].digest: name for i, name in (known or {}).items()}
    return results_of(full, support, queries, answers, **more)


def last(reading: Callable[..., Iterator[Any]], *given: Any) -> Any:
    """What a reading comes to."""
    *_, found = reading(*given)
    return found


def counted_decoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from now on, in their order."""
    decoded, decode = [], inputs.images.decode
    monkeypatch.setattr(
        inputs.images, "decode", lambda source, name: decoded.append(name) or decode(source, name)
    )
    return decoded


def task():
    classes = [(f"Letter {g}", [picture(g, d, f"{g}/{d}.png") for d in range(2)]) for g in range(3)]
    return support_set(classes), [picture(1, 9, "q.png")]
