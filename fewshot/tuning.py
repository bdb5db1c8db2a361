"""Choosing how far each method may learn from a support set, on validation classes alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch

from fewshot.atomic_write import write_atomically
from fewshot.data.pool import Pool
from fewshot.embedded_pool import EmbeddedPool
from fewshot.encoders.base import Encoder
from fewshot.episodes import Episodes, Protocol, draw_episodes
from fewshot.evaluation import tuned_answers
from fewshot.methods import METHODS, Method, Settings
from fewshot.methods.adaptation import LAST_BLOCK, VIEWS, Plan, trying
from fewshot.methods.finetune import TRANSDUCTIVE
from fewshot.metrics import normalise
from fewshot.tally import Tally
from fewshot.types import InputError

WAYS, QUERIES = 5, 15
# Weights of a prior differ by tenths of a point: they are compared on so many times the episodes.
PRIORS_TOLD_BY = 5
RATES = (0.001, 0.003, 0.01, 0.03)
STEPS = 50  # of fine-tuning with the queries


@dataclass(frozen=True)
class Search:
    """What is tried for one method.

    Attributes:
        method: its name in METHODS.
        protocols: by the number of shots its plan is kept under.
        candidates: the plans tried, gentlest first.
        transductive: whether the method sees the queries.
        priors: of which weights of the classes trained on the best is then taken.
        calibrated: which of the best plan's factors is then fitted by likelihood; it changes how
            sure answers are, never which. None fits nothing.
    """

    method: str
    protocols: dict[str, Protocol]
    candidates: tuple[Plan, ...]
    transductive: bool = False
    priors: tuple[float, ...] = ()
    calibrated: str | None = None


def _protocols(*shots: int, ways: int = WAYS, queries: int = QUERIES) -> dict[str, Protocol]:
    return {str(k): Protocol(ways, k, queries) for k in shots}


def _grid(
    steps: Iterable[int],
    rates: Iterable[float],
    entropies: Iterable[float] = (1.0,),
    temperatures: Iterable[float] = (1.0,),
) -> tuple[Plan, ...]:
    return tuple(
        Plan(steps=n, learning_rate=rate, entropy_factor=entropy, temperature_factor=temperature)
        for n, rate, entropy, temperature in product(steps, rates, entropies, temperatures)
    )


# On a tie the first is taken: fewer steps, the lower rate, less regularisation.
FINETUNE = Search(
    "finetune",
    _protocols(1, 5),
    _grid((10, 25, 50, 100, 200), (0.0003, *RATES), (0.3, 1.0, 3.0, 10.0)),
    priors=(0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
    calibrated="answer_factor",
)
FINETUNE_OF_DRAWINGS = replace(FINETUNE, protocols=_protocols(1, 5, ways=20, queries=5), priors=())
WITH_QUERIES = Search(
    "finetune",
    _protocols(1, 5),
    _grid([STEPS], (0.03, 0.1, 0.3), (3.0, 10.0, 30.0), (1.0, 0.5, 0.25, 0.17)),
    transductive=True,
    calibrated="answer_factor",
)
# Of five drawn characters nearly every answer is right before anything is learned.
WITH_QUERIES_OF_DRAWINGS = replace(WITH_QUERIES, protocols=_protocols(1, 5, ways=20, queries=5))
SIAMESE = Search(
    "siamese",
    _protocols(1, 5),
    _grid([10, 40], (0.1, 0.3, 1.0, 3.0)),
    calibrated="temperature_factor",
)
# Heads that were trained for drawings learn nothing more, but have no temperature either.
SIAMESE_OF_DRAWINGS = Search(
    "siamese",
    _protocols(1, 5, ways=20, queries=5),
    candidates=(Plan(),),
    calibrated="temperature_factor",
)
RELATION_OF_DRAWINGS = replace(SIAMESE_OF_DRAWINGS, method="relation")
FACTORS = tuple(round(2 ** (i / 4), 3) for i in range(-16, 17))  # 1/16 to 16
TRIPLET = Search("triplet", _protocols(1, 5), _grid([5, 20], RATES))
# On nouns that were trained on, of which there are more: where names help, as in use.
ADAPTER = Search(
    "clip-adapter", _protocols(1, 4, 16, ways=20, queries=5), _grid([5, 20], (0.0003, *RATES))
)
LAST_BLOCK_PLANS = _grid([10], (0.003, 0.01, 0.03))


@dataclass(frozen=True)
class Found:
    """The best plan of a search at one number of shots, and its mean accuracy."""

    plan: Plan
    accuracy: float


def search(
    what: Search,
    encoder: Encoder,
    pool: Pool,
    settings: Settings,
    episodes: int,
    on_progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Found]:
    """The best candidate by number of shots; on a tie the gentlest.

    Args:
        what: method, protocols and candidates.
        encoder: whose embeddings are learned from.
        pool: validation classes.
        settings: as in use.
        episodes: of each protocol.
        on_progress: told a line for each number of shots.
    """
    settings = replace(settings, transductive=what.transductive)
    method = METHODS[what.method](encoder, settings)
    tasks = _drawn(what, pool, episodes, first_seed=0)
    more = _drawn(what, pool, PRIORS_TOLD_BY * episodes, first_seed=10) if what.priors else {}
    embedded = EmbeddedPool(pool, [*tasks.values(), *more.values()], on_disk=True)
    found = {}
    for shots, drawn in tasks.items():
        start = _untaught_accuracy(what, method, drawn, embedded)
        accuracy = partial(_accuracy, method, drawn, embedded)
        best = _best(what.candidates, plan_name(what), accuracy)
        if what.priors:
            on_more = partial(_accuracy, method, more[shots], embedded)
            best = _with_prior(best, what, on_more, accuracy)
        if what.calibrated:
            best = _calibrated(best, what, method, drawn, embedded)
        on_progress(
            f"{plan_name(what)}, {shots}-shot: {start:.4f} untaught, "
            f"{best.accuracy:.4f} with {best.plan}"
        )
        found[shots] = best
    return found


def _drawn(what: Search, pool: Pool, episodes: int, first_seed: int) -> dict[str, Episodes]:
    """Episodes of each protocol, by the number of shots its plan is kept under."""
    return {
        shots: draw_episodes(pool.labels, protocol, episodes, seed=first_seed + int(shots))
        for shots, protocol in what.protocols.items()
    }


def _untaught_accuracy(
    what: Search, method: Method, episodes: Episodes, embedded: EmbeddedPool
) -> float:
    """As the method is before its first step: what learning has to beat."""
    with trying(plan_name(what), replace(what.candidates[0], steps=0)):
        untaught = type(method)(method.encoder, replace(method.settings, steps=0))
        return _accuracy(untaught, episodes, embedded)


def search_last_block(
    encoder: Encoder,
    pool: Pool,
    settings: Settings,
    episodes: int,
    on_progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Found]:
    """As :func:`search` for the image tower's last block, each episode tuning a copy of its own."""
    method = METHODS["finetune"](encoder, replace(settings, last_block=True))
    found = {}
    for shots, protocol in _protocols(1, 5).items():
        drawn = draw_episodes(pool.labels, protocol, episodes, seed=int(shots))
        accuracy = partial(_tuned_accuracy, method, drawn, pool)
        found[shots] = _best(LAST_BLOCK_PLANS, LAST_BLOCK, accuracy)
        on_progress(
            f"last block, {shots}-shot: {found[shots].accuracy:.4f} with {found[shots].plan}"
        )
    return found


def _best(candidates: Sequence[Plan], name: str, accuracy: Callable[[], float]) -> Found:
    """The plan that the method of a name does best with; of equals the first."""
    found = []
    for plan in candidates:
        with trying(name, plan):
            found.append(Found(plan, accuracy()))
    return max(found, key=lambda one: one.accuracy)


def _with_prior(
    found: Found, what: Search, on_more: Callable[[], float], accuracy: Callable[[], float]
) -> Found:
    """With the weight of the classes trained on that does best on more episodes."""
    plans = [replace(found.plan, prior=weight) for weight in what.priors]
    chosen = _best(plans, plan_name(what), on_more).plan
    return _best([chosen], plan_name(what), accuracy)


def _accuracy(method: Method, episodes: Episodes, embedded: EmbeddedPool) -> float:
    tally = Tally(len(embedded.pool.classes))
    for batch in episodes.batches():
        support = embedded.support(batch, method.encoder, method.n_views)
        queries = embedded.queries(batch, method.encoder)
        tally.add(batch, method.predict_batch(support, queries), 0.0)
    return tally.accuracy()[0]


def _calibrated(
    found: Found, what: Search, method: Method, episodes: Episodes, embedded: EmbeddedPool
) -> Found:
    """With the factor of the least negative log-likelihood (Guo et al. 2017)."""
    losses = np.zeros(len(FACTORS))
    with trying(plan_name(what), found.plan):
        for batch in episodes.batches():
            support = embedded.support(batch, method.encoder, method.n_views)
            p = method.predict_batch(support, embedded.queries(batch, method.encoder))
            p = p.cpu().double()
            log_p = p.clamp_min(1e-300).log()  # (e, q, n_way)
            labels = torch.from_numpy(batch.query_labels).expand(p.shape[:2])
            for number, factor in enumerate(FACTORS):
                likelihood = (factor * log_p).log_softmax(2).gather(2, labels.unsqueeze(2))
                losses[number] -= float(likelihood.sum())
    plan = replace(found.plan, **{what.calibrated: FACTORS[int(losses.argmin())]})
    return replace(found, plan=plan)


def view_likeness(encoder: Encoder, pool: Pool) -> float:
    """How like a view is to another picture of the class: see :class:`Plan`.

    Of mean cosines, those between pictures of a class above those between classes, as a share of
    those between a picture and its views.
    """
    x = normalise(encoder.embed(pool.pictures))
    views = normalise(encoder.embed_views(pool.pictures, VIEWS))
    cosines = x @ x.T
    of_class = pool.labels[:, None] == pool.labels
    between = cosines[~of_class].mean()
    within = cosines[of_class & ~np.eye(len(x), dtype=bool)].mean()
    return float((within - between) / ((x[:, None] * views).sum(2).mean() - between))


def plans_in(path: Path) -> dict:
    """What a file of plans holds; nothing where there is none.

    Raises:
        InputError: it is something else.
    """
    if not path.exists():
        return {}
    try:
        everything = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a file of plans ({error}).") from error
    if not isinstance(everything, dict):
        raise InputError(f"{path} holds something else than plans: choose another --output.")
    return everything


def write_plans(path: Path, family: str, plans: dict[str, dict[str, Found]]) -> None:
    """Put plans into the file; what it has of other families and methods stays."""
    everything = plans_in(path)
    everything.setdefault(family, {}).update(
        {
            method: {shots: _as_json(found.plan) for shots, found in by_shots.items()}
            for method, by_shots in plans.items()
        }
    )
    write_atomically(path, (json.dumps(everything, indent=2) + "\n").encode())


def _as_json(plan: Plan) -> dict[str, float]:
    """What of a plan is not as it is by default."""
    return {k: v for k, v in asdict(plan).items() if v != getattr(Plan, k, None)}


def plan_name(what: Search) -> str:
    """Under which name a search's plans are kept."""
    return TRANSDUCTIVE if what.transductive else what.method


def _tuned_accuracy(method: Method, episodes: Episodes, pool: Pool) -> float:
    hits = [
        (tuned_answers(method, episode, pool).argmax(1) == episode.query_labels).mean()
        for episode in episodes
    ]
    return float(np.mean(hits))
