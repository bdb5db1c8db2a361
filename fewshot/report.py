"""A comparison as JSON and as CSV, on the page, in the API and on the command line; as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fewshot.class_names import text_cell
from fewshot.types import Comparison, InputError, MethodResult

if TYPE_CHECKING:
    from fewshot.methods import Settings


def conditions(preset: str, settings: Settings, model: str | None) -> dict[str, Any]:
    """``{"preset", "settings"}``: what a comparison was run with, for :func:`as_json`.

    Args:
        preset: a name in PRESETS.
        settings: of the methods; a temperature of None is each encoder's own.
        model: which CLIP model was chosen; the report names the one that was found for it.
    """
    name = model_name(model)
    values = asdict(settings) | {"templates": list(settings.templates), "model": name}
    return {"preset": preset, "settings": values}


def evaluation_conditions(
    preset: str, settings: Settings, model: str | None, against: str | None, seed: int
) -> dict[str, Any]:
    """What an evaluation was run with, beside its data and protocol, for its JSON.

    Args:
        preset, settings, model: as for :func:`conditions`.
        against: the method that others were compared with.
        seed: of the draw.
    """
    return {
        "preset": preset,
        "model": model_name(model),
        "finetune_steps": settings.steps,
        "entropy_weight": settings.entropy_weight,
        "transductive": settings.transductive,
        "last_block": settings.last_block,
        "temperature": settings.temperature,
        "templates": list(settings.templates),
        "against": against,
        "seed": seed,
    }


def model_name(model: str | None) -> str | None:
    """The CLIP model that is found for a choice, by which a report can be made again."""
    from fewshot.encoders.clip_models import find_clip

    try:
        return find_clip(model).name
    except InputError:  # why is said where it was to answer
        return model


def as_json(
    comparison: Comparison,
    left_out: Sequence[str] = (),
    run_with: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """``{"classes", "queries": [{"file", "predictions": {method: …}}], "unavailable", …}``.

    Where classes are described, "descriptions" has the words by class.

    Each prediction has "label", "probabilities" by class, "milliseconds", and "neighbours", the
    nearest support pictures with their cosine similarity. Beside them "encoders", by method where
    its encoder's weights come from, "cautions", sentences on where not to trust one, "without_ink",
    the pictures in which no drawing was found, and "left_out", a sentence for each file that could
    not be used, and ``run_with``, which :func:`conditions` gives.
    """
    pairs = zip(comparison.classes, comparison.descriptions, strict=False)
    described = {name: text for name, text in pairs if text}
    return {
        "classes": list(comparison.classes),
        **({"descriptions": described} if described else {}),
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
        "without_ink": [blank.name for blank in comparison.without_ink],
        "left_out": list(left_out),
        **(run_with or {}),
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
                row = [text_cell(file), name, rank, text_cell(label), f"{probability:.6f}"]
                writer.writerow([*row, f"{prediction['milliseconds']:.2f}"])
    return buffer.getvalue()


def as_table(comparison: Comparison) -> str:
    """A line for each query, with each method's answer and how sure it is; for a terminal."""
    rows = [["", *comparison.results]]
    for query, file in enumerate(comparison.queries):
        answers = [result.prediction for result in comparison.results.values()]
        rows.append(
            [file, *(f"{a.labels[query]} {a.probabilities[query].max():.0%}" for a in answers)]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += [f"{name}: {why}" for name, why in comparison.unavailable.items()]
    return "\n".join(lines)


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
