"""The engine as the page runs it: imported late, method by method, on a GPU where one is lent."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from fewshot.class_names import quoted
from fewshot.examples import EXAMPLE_TASKS, example_task
from fewshot.presets import get_preset
from fewshot.prompts import templates
from fewshot.types import (
    Blank,
    Comparison,
    InputError,
    MethodResult,
    Picture,
    SupportSet,
    described,
)
from fewshot.ui import clip_files

if TYPE_CHECKING:
    from fewshot.encoders.base import Encoder
    from fewshot.methods import Settings
    from fewshot.occlusion import Reliance

log = logging.getLogger("fewshot.ui")

# The cards, in this order. The registry that knows the titles too takes seconds to import.
TITLES = {
    "siamese": "Siamese",
    "triplet": "Triplet",
    "finetune": "Fine-tuned prototype",
    "clip": "CLIP zero-shot",
    "clip-adapter": "CLIP adapter",
}
# Not a card of its own: what the fine-tuned classifier was before its first step, and what that
# classifier's card says of it.
BASELINE, BASELINE_TITLE = "prototype", "Before fine-tuning"
TEXTS_AT_ONCE = 64  # read without a pause


@dataclass(frozen=True)
class Choices:
    """What the Settings say; as :class:`fewshot.methods.Settings`, but None where left alone.

    Attributes:
        steps: of fine-tuning, or None for those of its plan.
        temperature: or None for each encoder's own.
        entropy_weight: of fine-tuning.
        templates: prompts for CLIP, or None for the preset's.
        model: which CLIP model, or None for the default.
        transductive: whether fine-tuning also learns from the queries, where there are several.
        last_block: whether it also tunes the last block of CLIP's image tower.
    """

    steps: int | None = None
    temperature: float | None = None
    entropy_weight: float = 0.1
    templates: tuple[str, ...] | None = None
    model: str | None = None
    transductive: bool = False
    last_block: bool = False


@dataclass(frozen=True)
class Step:
    """Progress: the share done, 0 to 1, and what comes next."""

    share: float
    what: str


def settings_of(choices: Choices, preset: str) -> Settings:
    """The engine's settings for a visitor's choices.

    Raises:
        InputError: a setting out of range, or an unknown preset.
    """
    from fewshot.methods import Settings

    values = asdict(choices)
    del values["model"]
    values["templates"] = choices.templates or templates(get_preset(preset).templates)
    return Settings(**values)


def compare_in_steps(
    support: SupportSet,
    queries: Sequence[Picture],
    preset: str,
    choices: Choices,
    methods: Sequence[str] = (*TITLES, BASELINE),
) -> Iterator[Step | Comparison]:
    """What :func:`fewshot.compare.compare` does, pausing before each method and while embedding.

    A visitor's Stop can take hold at each pause, and the progress bar moves.

    Args:
        support: the labelled pictures; names alone are enough for CLIP.
        queries: at least one.
        preset: a name in PRESETS.
        choices: the Settings.
        methods: those to ask, in their order.

    Yields:
        Steps, and at last the comparison, with the baseline among its results.

    Raises:
        InputError: a setting out of range, an unknown preset, or no method can be had.
    """
    yield Step(0.0, "Waking the engine")
    from fewshot.compare import fit

    model = clip_files.offered(choices.model)
    settings = settings_of(choices, preset)
    results: dict[str, MethodResult] = {}
    unavailable: dict[str, str] = {}
    sources: dict[str, str] = {}
    cautions: dict[str, None] = {}  # in order, each once
    blank: tuple[Blank, ...] = ()
    for number, name in enumerate(methods):
        title = TITLES.get(name, BASELINE_TITLE)
        yield Step(number / len(methods), title)
        try:
            for share in _embedding(name, support, queries, preset, settings, model):
                yield Step((number + share) / len(methods), title)
            fitted = fit(support, preset, [name], settings, model=model)
        except InputError as error:
            unavailable[name] = str(error)
        else:
            answer = fitted.classify(queries)
            results |= answer.results
            sources |= answer.sources
            cautions |= dict.fromkeys(answer.cautions)
            blank = blank or answer.without_ink  # the same for all that look for a drawing
    if not results:
        raise InputError(next(iter(unavailable.values())))
    names = tuple(query.name for query in queries)
    said = (tuple(cautions), blank, support.descriptions)
    yield Comparison(support.classes, names, results, unavailable, sources, *said)


def _embedding(
    name: str,
    support: SupportSet,
    queries: Sequence[Picture],
    preset: str,
    settings: Settings,
    model: str | None,
) -> Iterator[float]:
    """Embed for a method in portions, so that its fit finds all of it cached: the share done.

    But for what an image tower sees that the fit itself first tunes to the support set.
    """
    from fewshot.compare import CACHE
    from fewshot.encoders import get_encoder
    from fewshot.methods import METHODS
    from fewshot.prompts import prompts_of

    encoder = get_encoder(get_preset(preset).encoder_of(name), model)
    method = METHODS[name](encoder, settings)
    if method.reads_pictures and len(set(support.labels.tolist())) < len(support.classes):
        return  # it will refuse
    names = described(support.classes, support.descriptions)
    prompts = prompts_of(names, settings.templates) if encoder.reads_text else []
    shown = support.pictures if method.n_views else ()
    parts = [
        CACHE.embedding(encoder, [*support.pictures, *queries]),
        CACHE.embedding(encoder, shown, method.n_views),
        _reading(encoder, prompts),
    ]
    for number, part in enumerate(parts):
        for share in part:
            yield (number + share) / len(parts)


def _reading(encoder: Encoder, texts: Sequence[str]) -> Iterator[float]:
    """Embed texts in portions, those seen before among them: the share done."""
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        yield start / len(texts)
        encoder.embed_texts(texts[start : start + TEXTS_AT_ONCE])


def look_in_steps(
    support: SupportSet,
    queries: Sequence[Picture],
    number: int,
    preset: str,
    choices: Choices,
) -> Iterator[Step | dict[str, Reliance]]:
    """What each method's answer to one query rests on, pausing after every few covered copies.

    Args:
        support, queries, preset, choices: as in :func:`compare_in_steps`, which embedded them.
        number: of the query.

    Yields:
        Steps, and at last by method what covering parts of the query does; without those methods
        that cannot be had.

    Raises:
        InputError: a setting out of range, an unknown preset, or no method can be had.
    """
    yield Step(0.0, "Fitting the methods")
    from fewshot.compare import CACHE, fit
    from fewshot.occlusion import Copies, look_at, reliance

    fitted = fit(
        support, preset, list(TITLES), settings_of(choices, preset),
        model=clip_files.offered(choices.model),
    ).methods  # fmt: skip
    encoders = {one.encoder.digest: one.encoder for one in fitted.values()}
    copies: dict[str, Copies] = {}
    for done, (digest, encoder) in enumerate(encoders.items()):
        for seen in look_at(encoder, queries[number]):
            if isinstance(seen, Copies):
                copies[digest] = seen
            else:
                share = (done + seen) / len(encoders)
                yield Step(share, f"Covering parts of {quoted(queries[number].name)}")
    found = {}
    for name, one in fitted.items():
        seen = copies[one.encoder.digest]
        method = one.asked(CACHE.embed(one.encoder, queries).embeddings)
        found[name] = reliance(method.predict(seen.embeddings), seen.box)
    yield found


if os.environ.get("SPACES_ZERO_GPU"):
    # There, and only there: ZeroGPU counts the decorated functions as the page starts, and
    # device imports torch, which the page elsewhere does without until the first click.
    from fewshot.device import gpu

    compare_in_steps, look_in_steps = gpu()(compare_in_steps), gpu()(look_in_steps)


def without_baseline(comparison: Comparison) -> tuple[Comparison, MethodResult | None]:
    """The comparison of the cards, and the baseline's answers if there are any."""
    by_method = ("results", "unavailable", "sources")
    kept = {
        part: {name: x for name, x in getattr(comparison, part).items() if name != BASELINE}
        for part in by_method
    }
    return replace(comparison, **kept), comparison.results.get(BASELINE)


def warm_up() -> None:
    """Load the engine and the drawings encoders by classifying an example task once."""
    try:
        task = example_task(next(iter(EXAMPLE_TASKS)))
        for _ in compare_in_steps(task.support, task.queries, task.preset, Choices()):
            pass
        for key in EXAMPLE_TASKS:
            example_task(key)  # drawn once per process
    except Exception as error:  # a visitor's click will say what is wrong
        log.warning("The engine could not be warmed up: %s", error)


def warm_up_in_background() -> threading.Thread:
    """Start :func:`warm_up` beside whatever else goes on."""
    thread = threading.Thread(target=warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread
