"""A comparison as JSON and as CSV: the same on the page, in the API and on the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from fewshot.types import Comparison, MethodResult


def as_json(comparison: Comparison, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """``{"classes", "queries": [{"file", "predictions": {method: …}}], "unavailable", …}``.

    Each prediction has "label", "probabilities" by class, "milliseconds", and "neighbours", the
    nearest support pictures with their cosine similarity. Beside them "encoders", by method where
    its encoder's weights come from, "cautions", sentences on where not to trust one, and
    "left_out", a sentence for each file of the support set that could not be used.
    """
    return {
        "classes": list(comparison.classes),
        "queries": [
            {
                "file": file,
                "predictions": {
                    name: _prediction(result, query) for name, result in comparison.results.items()
                },
            }
            for query, file in enumerate(comparison.queries)
        ],
        "unavailable": dict(comparison.unavailable),
        "encoders": dict(comparison.sources),
        "cautions": list(comparison.cautions),
        "left_out": list(left_out),
    }


def as_csv(comparison: Comparison) -> str:
    """One row per query, method and class, most probable first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["query", "method", "rank", "class", "probability", "milliseconds"])
    for query, file in enumerate(comparison.queries):
        for name, result in comparison.results.items():
            prediction = _prediction(result, query)
            ranked = sorted(prediction["probabilities"].items(), key=lambda item: -item[1])
            for rank, (label, probability) in enumerate(ranked, start=1):
                row = [_cell(file), name, rank, _cell(label), f"{probability:.6f}"]
                writer.writerow([*row, f"{prediction['milliseconds']:.2f}"])
    return buffer.getvalue()


def _prediction(result: MethodResult, query: int) -> dict[str, Any]:
    prediction = result.prediction
    return {
        "label": prediction.labels[query],
        "probabilities": {
            label: float(p)
            for label, p in zip(prediction.classes, prediction.probabilities[query], strict=True)
        },
        "milliseconds": round(float(result.milliseconds[query]), 3),
        "neighbours": [
            {"file": n.file, "class": n.label, "similarity": round(n.similarity, 6)}
            for n in result.neighbours[query]
        ],
    }


def _cell(text: str) -> str:
    """A spreadsheet runs a cell that starts like a formula; a quote in front keeps it text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
