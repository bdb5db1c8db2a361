"""The evaluation as the page runs it: in small portions, with the figures so far after each."""

from __future__ import annotations

import os
from collections.abc import Iterator

from fewshot.presets import get_preset
from fewshot.remarks import photographed, too_small, trained_on
from fewshot.report import evaluation_conditions
from fewshot.types import InputError
from fewshot.ui import clip_files
from fewshot.ui.engine import Step
from fewshot.ui.evaluate_data import load_data
from fewshot.ui.evaluate_report import REMEMBERED, Album, Report, confusion_of, without_tables
from fewshot.ui.evaluate_request import METHOD_TITLES, Request
from fewshot.ui.kind import CHOOSE_PHOTOS

# So much is done without a pause, in which a Stop can take hold and others get their turn.
EPISODES_AT_ONCE = 25
PICTURES_AT_ONCE = 2_000  # shown and asked in a portion


def evaluate_in_steps(request: Request) -> Iterator[Step | Report]:
    """Evaluate, pausing after each portion of pictures and of episodes.

    Yields:
        Steps, and from the first episodes on reports; the last one has them all.

    Raises:
        InputError: the data or a method cannot be had, or do not suffice for such episodes.
    """
    yield Step(0.0, "Reading the pictures")
    data = load_data(request.source, request.zip_path)
    pool = data.pool
    protocols = request.protocols(pool)
    yield Step(0.0, "Waking the engine")
    from fewshot.compare import CACHE
    from fewshot.embedded_pool import EmbeddedPool
    from fewshot.embedding_cache import AT_ONCE
    from fewshot.episodes import draw_episodes
    from fewshot.evaluation import Evaluator
    from fewshot.evaluation_results import ALIKE

    model = clip_files.offered(request.model)
    drawn = [
        draw_episodes(pool.labels, protocol, request.episodes, request.seed, pool.groups)
        for protocol in protocols
    ]
    methods, absent = _at_hand(request)
    settings = get_preset(request.preset).settings()
    evaluator = Evaluator(
        pool, methods, request.preset, settings, model=model, against=request.against,
        remembered=REMEMBERED,
    )  # fmt: skip
    embedded = EmbeddedPool(pool, drawn, cache=CACHE, at_once=AT_ONCE)
    for share, _ in evaluator.embedding(embedded):
        yield Step(share, "Embedding the pictures")

    facts = evaluation_conditions(request.preset, settings, model, request.against, request.seed)
    remark = photographed(pool.pictures, request.preset, CHOOSE_PHOTOS)
    album = Album(pool.pictures, pool.labels)
    needed = min(protocol.shots for protocol in protocols) + request.queries
    left_out = (*absent, *data.skipped, *too_small(pool, needed))
    cautions = (*evaluator.cautions, *trained_on(pool.classes, evaluator.cautions))
    done, confusions, any_alike = [], {}, False  # in the runs that are done
    for number, (protocol, episodes) in enumerate(zip(protocols, drawn, strict=True)):
        asked = {"ways": protocol.ways, "shots": protocol.shots, "queries": protocol.queries}
        asked |= {"within_group": protocol.within_group, "episodes": request.episodes}
        size = PICTURES_AT_ONCE // (protocol.ways * (protocol.shots + protocol.queries))
        portions = episodes.in_portions(max(2, min(EPISODES_AT_ONCE, size)))
        for evaluation in evaluator.steps(portions, embedded):
            for method in evaluation.confusion:
                confusions[number, method] = confusion_of(evaluation, method)
            alike = evaluation.alike
            explained = ALIKE if any_alike or alike else ""
            run = (data.facts | asked | facts, without_tables(evaluation))
            yield Report(
                (*done, run), dict(confusions), pool.classes, len(pool.pictures),
                *album.shown(confusions.values()), left_out, request.episodes, len(protocols),
                cautions, remark, explained,
            )  # fmt: skip
        done.append(run)
        any_alike |= alike


def _at_hand(request: Request) -> tuple[list[str], tuple[str, ...]]:
    """The methods whose encoders can be had, and for each other one a sentence that says why not.

    Raises:
        InputError: none can, or not the one that the others are compared with.
    """
    from fewshot.encoders import get_encoder
    from fewshot.presets import PRESETS, get_preset

    preset, absent = get_preset(request.preset), {}
    for name in request.methods:
        if name not in preset.encoders:
            others = [p.title for p in PRESETS.values() if name in p.encoders]
            absent[name] = f"it works on {' and '.join(others)} only."
            if name == request.against:
                raise InputError(f"{METHOD_TITLES[name]}: {absent[name]}")
            continue
        try:
            get_encoder(preset.encoder_of(name), request.model)
        except InputError as error:
            if name == request.against:
                raise
            absent[name] = str(error)
    methods = [name for name in request.methods if name not in absent]
    if not methods:
        raise InputError(next(iter(absent.values())))
    return methods, tuple(f"{METHOD_TITLES[name]}: {why}" for name, why in absent.items())


if os.environ.get("SPACES_ZERO_GPU"):
    # As in engine.py; an evaluation may take longer than an answer.
    from fewshot.device import gpu

    evaluate_in_steps = gpu(duration=120)(evaluate_in_steps)
