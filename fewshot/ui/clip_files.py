"""Where CLIP's files are, told to the page; the engine is imported by the first call."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.known_names import known_among, known_names
from fewshot.remarks import some
from fewshot.types import Comparison, InputError
from fewshot.ui import timings

if TYPE_CHECKING:
    from fewshot.encoders.clip_models import ClipModel

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Whereabouts:
    """Where a model is.

    Attributes:
        here: its files are on this machine.
        sentence: says so, or what to do.
        downloadable: the page may offer to fetch it.
    """

    here: bool
    sentence: str
    downloadable: bool


def choices() -> tuple[list[tuple[str, str]], str]:
    """(label, value) of each model that can be chosen, and the value to begin with."""
    from fewshot.encoders.clip_models import CLIP_MODELS, EMBEDDED, clip_name, find_clip

    listed = [("Small embedded model (shipped with the app)", EMBEDDED)]
    listed += [(_label(model), model.name) for model in CLIP_MODELS.values()]
    given = clip_name(None)
    if given not in (None, EMBEDDED, *CLIP_MODELS):  # by whoever started the page
        listed.insert(0, (Path(given).name, given))
    return listed, given or find_clip().name


def offered(model: str | None) -> str | None:
    """The same model, if it is one that can be chosen.

    Raises:
        InputError: it is not; it comes from a browser, and a path would be looked up here.
    """
    from fewshot.encoders.clip_models import CLIP_MODELS, EMBEDDED, clip_name

    if not model:
        return None
    if model not in (clip_name(None), EMBEDDED, *CLIP_MODELS):
        listed = ", ".join((EMBEDDED, *CLIP_MODELS))
        raise InputError(f"There is no CLIP model “{model}”: choose {listed}.")
    return model


def _label(model: ClipModel) -> str:
    note = f", {model.note}" if model.note else ""
    return (
        f"{model.name} ({model.megabytes:,} MB, {model.accuracy}% zero-shot on ImageNet, "
        f"{model.licence}{note})"
    )


def size(model: str | None) -> str:
    """The size of a listed model's download, "605 MB", or nothing."""
    from fewshot.encoders.clip_models import CLIP_MODELS, clip_name

    listed = CLIP_MODELS.get(clip_name(model) or "")
    return f"{listed.megabytes:,} MB" if listed else ""


def whereabouts(model: str | None) -> Whereabouts:
    """Look for a model on this machine."""
    from fewshot.encoders.clip_models import CLIP_MODELS, find_clip

    try:
        found = find_clip(offered(model))
    except InputError as error:
        return Whereabouts(False, str(error), model in CLIP_MODELS)
    shown_name = found.name if found.name in CLIP_MODELS else Path(found.name).name
    sentence = f"{shown_name} is on this machine (licence: {found.licence})."
    if found.caution:
        sentence = f"{cautioned([found.caution], 'above')} Licence: {found.licence}."
    return Whereabouts(True, f"{sentence} {timings.pace(found.name)}".rstrip(), False)


def cautioned(cautions: Sequence[str], where: str, names: Sequence[str] = ()) -> str:
    """An encoder's cautions, and what a visitor of this page can do about them.

    Args:
        cautions: sentences; without any there is nothing to say.
        where: another model can be chosen.
        names: that it was to read; it is said which of them it knows.
    """
    if not cautions:
        return ""
    found = known_among(names)
    yours = f" Of yours it knows {some(found)}." if found else ""
    listed = "“How it works” lists the names it knows; for" if known_names() else "For"
    return f"{' '.join(cautions)}{yours} {listed} others choose a real CLIP model {where}."


def remember_pace(model: str | None, comparison: Comparison) -> None:
    """Keep how long a model took for a picture in a comparison; :func:`whereabouts` tells it."""
    from fewshot.encoders.clip_models import find_clip

    if "clip" in comparison.results:
        timings.remember(find_clip(model).name, comparison)


def download(model: str | None) -> Iterator[float]:
    """Download a listed model, yielding the share that has arrived.

    Raises:
        InputError: the hub cannot be reached within 3 s, or the model is not of the list: a
            visitor fills no disk with models of their choice.
    """
    from fewshot.encoders.clip_models import CLIP_MODELS, clip_name, download_clip

    name = clip_name(model) or ""
    if name not in CLIP_MODELS:
        raise InputError(f"Only {', '.join(CLIP_MODELS)} can be downloaded here.")
    outcome: list[Exception | None] = []

    def fetch() -> None:
        try:
            download_clip(name)
            outcome.append(None)
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=fetch, name="download", daemon=True)
    thread.start()
    while thread.is_alive():
        yield min(_megabytes(CLIP_MODELS[name].repository) / CLIP_MODELS[name].megabytes, 1.0)
        thread.join(POLL_SECONDS)
    if isinstance(error := outcome[0], Exception):
        raise error


def _megabytes(repository: str) -> float:
    """What of a repository lies in the hub's cache, files still arriving included."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}", "blobs")
    try:
        return sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    except OSError:  # not there yet, or a file that is just being renamed
        return 0.0
