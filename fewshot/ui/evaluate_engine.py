"""The evaluation as the page runs it: in small portions, with the figures so far after each."""

from __future__ import annotations

import os
from collections.abc import Iterator

from fewshot.ui import clip_files
from fewshot.ui.engine import Step
from fewshot.ui.evaluate_data import load_data
from fewshot.ui.evaluate_report import REMEMBERED, Album, Report, confusion_of, without_tables
from fewshot.ui.evaluate_request import Request

# So much is done without a pause, in which a Stop can take hold and others get their turn.
PICTURES_AT_ONCE = 32
EPISODES_AT_ONCE = 25
SUPPORT_AT_ONCE = 2_000  # pictures of an episode times episodes: bounds memory


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
    from fewshot.episodes import draw_episodes
    from fewshot.evaluation import Evaluator
    from fewshot.methods import Settings

    model = clip_files.offered(request.model)
    drawn = [
        draw_episodes(pool.labels, protocol, request.episodes, request.seed, pool.groups)
        for protocol in protocols
    ]
    evaluator = Evaluator(
        pool, list(request.methods), request.preset, model=model, against=request.against,
        remembered=REMEMBERED,
    )  # fmt: skip
    embedded = EmbeddedPool(pool, drawn, cache=CACHE, at_once=PICTURES_AT_ONCE)
    for share, what in evaluator.embedding(embedded):
        yield Step(share, what.capitalize())

    settings = Settings()
    facts = {"preset": request.preset, "model": model, "finetune_steps": settings.steps}
    facts |= {"entropy_weight": settings.entropy_weight, "transductive": settings.transductive}
    facts |= {"last_block": settings.last_block, "against": request.against, "seed": request.seed}
    album = Album(pool.pictures, pool.labels)
    done, confusions = [], {}
    for number, (protocol, episodes) in enumerate(zip(protocols, drawn, strict=True)):
        asked = {"ways": protocol.ways, "shots": protocol.shots, "queries": protocol.queries}
        asked |= {"within_group": protocol.within_group, "episodes": request.episodes}
        size = SUPPORT_AT_ONCE // (protocol.ways * (protocol.shots + protocol.queries))
        portions = episodes.in_portions(max(2, min(EPISODES_AT_ONCE, size)))
        for evaluation in evaluator.steps(portions, embedded):
            for method in evaluation.confusion:
                confusions[number, method] = confusion_of(evaluation, method)
            run = (data.facts | asked | facts, without_tables(evaluation))
            yield Report(
                (*done, run), dict(confusions), pool.classes, len(pool.pictures),
                *album.shown(confusions.values()), data.skipped, request.episodes, len(protocols),
            )  # fmt: skip
        done.append(run)


if os.environ.get("SPACES_ZERO_GPU"):
    # As in engine.py; an evaluation may take longer than an answer.
    from fewshot.device import gpu

    evaluate_in_steps = gpu(duration=120)(evaluate_in_steps)
