"""Episodes over embeddings made once: accuracy with its 95% interval, for every method alike."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fewshot.compare import tuned_encoder
from fewshot.data.pool import Pool
from fewshot.embedded_pool import EmbeddedPool
from fewshot.encoders import get_encoder
from fewshot.episodes import Episode, EpisodeBatch, Episodes
from fewshot.evaluation_results import Evaluation, MethodScore
from fewshot.methods import Method, Settings, get_method
from fewshot.presets import Preset, get_preset
from fewshot.tally import Tally
from fewshot.types import InputError, Support, SupportSet

Progress = Callable[[float, str], None]

# Of embeddings and views that a batch of episodes gathers in the roomiest of its spaces; methods
# hold a few times as much while they work. Raw pixels are long, and so are many ways.
BYTES_AT_ONCE = 2**28
# Figures are yielded again once the episodes have grown by this factor.
TOLD_AGAIN = 1.01


def quietly(share: float, what: str) -> None:
    """Progress that nobody is told of."""


class Evaluator:
    """Methods, ready to be run over episodes of one pool."""

    def __init__(
        self,
        pool: Pool,
        methods: Sequence[str],
        preset: str = "drawings",
        settings: Settings | None = None,
        *,
        model: str | None = None,
        against: str | None = None,
        on_disk: bool = False,
        remembered: int = 0,
    ) -> None:
        """Load what the methods need.

        Args:
            pool: pictures that episodes index; each is embedded once per encoder.
            methods: names in METHODS.
            preset: which encoder each method uses.
            settings: None takes the defaults, with the preset's prompt templates.
            model: which CLIP model.
            against: the method among them that the others are compared with, episode by episode.
            on_disk: keep embeddings in the user's cache.
            remembered: queries to remember of each pair of true and answered class.

        Raises:
            InputError: a method is unknown or cannot be had, or ``against`` is not among them.
        """
        if against is not None and against not in methods:
            raise InputError(f"{against} is to be compared with, so it must be one of the methods.")
        chosen = get_preset(preset)
        settings = settings or chosen.settings()
        self.pool, self._against, self._on_disk = pool, against, on_disk
        self._remembered = remembered
        self._methods = {name: _build(name, chosen, settings, model) for name in methods}

    @property
    def cautions(self) -> tuple[str, ...]:
        """Sentences that say where not to trust an encoder that takes part."""
        said = (method.encoder.caution for method in self._methods.values())
        return tuple(dict.fromkeys(filter(None, said)))

    def run(self, episodes: Episodes, on_progress: Progress = quietly) -> Evaluation:
        """The figures over all episodes; see :meth:`steps`."""
        embedded = self.embed([episodes], on_progress)
        # A list of all steps would hold each one's confusion matrices.
        (last,) = deque(self.steps(episodes, embedded, on_progress), maxlen=1)
        return last

    def embed(self, episodes: Sequence[Episodes], on_progress: Progress = quietly) -> EmbeddedPool:
        """Embed for every method what some sets of episodes use.

        Args:
            episodes: a set of them for each protocol to come.
            on_progress: told the share of all embeddings that is done, 0 to 1, and what is next.

        Raises:
            InputError: a method cannot do without supports.
        """
        shown = all(next(drawn.batches()).support.size for drawn in episodes)
        for name, method in self._methods.items():
            if not shown and method.reads_pictures:
                raise InputError(f"{name} needs at least 1 shot: with 0, only clip can answer.")
        embedded = EmbeddedPool(self.pool, episodes, on_disk=self._on_disk)
        for share, what in self.embedding(embedded):
            on_progress(share, what)
        return embedded

    def embedding(self, embedded: EmbeddedPool) -> Iterator[tuple[float, str]]:
        """Embed what every method needs, with a pause before each portion.

        Yields:
            The share of all embeddings that is done, 0 to 1, and what comes next.
        """
        methods = [method for method in self._methods.values() if not method.tunes_encoder]
        for number, method in enumerate(methods):
            for share in embedded.embedding(method.encoder, method.n_views):
                yield (number + share) / len(methods), f"embedding for {method.encoder.name}"

    def steps(
        self, episodes: Episodes, embedded: EmbeddedPool, on_progress: Progress = quietly
    ) -> Iterator[Evaluation]:
        """Run every method over the same episodes; the figures so far after some batches of them.

        A batch goes through every method before the next one is drawn: whenever the caller
        stops, all methods have seen the same episodes, and the memory is that of one batch, which
        ``BYTES_AT_ONCE`` bounds.

        Args:
            episodes: at least one; an empty support needs methods that read names alone.
            embedded: from :meth:`embed`.
            on_progress: told the share of the episodes done, 0 to 1.
        """
        n_classes = len(self.pool.classes)
        tallies = {name: Tally(n_classes, self._remembered) for name in self._methods}
        episodes = episodes.in_portions(self._at_once(episodes))
        done = told = 0
        for batch in episodes.batches():
            on_progress(done / len(episodes), "evaluating")
            for name, method in self._methods.items():
                began = time.perf_counter()
                probabilities = _answers(method, batch, embedded).cpu()  # waits for a GPU
                tallies[name].add(batch, probabilities, time.perf_counter() - began)
            done += len(batch)
            # Figures are over all episodes so far: made after each of very many small batches they
            # would take more time the more there are.
            if done >= TOLD_AGAIN * told or done == len(episodes):
                told = done
                yield self._figures(tallies)

    def _at_once(self, episodes: Episodes) -> int:
        """How many episodes a batch may have."""
        batch = next(episodes.batches())
        shown, asked = batch.support.shape[1], batch.queries.shape[1]
        roomiest = max(
            method.encoder.dim * (shown * (1 + method.n_views) + asked)
            for method in self._methods.values()
        )
        most = min(method.most_at_once for method in self._methods.values())
        return max(1, min(most, BYTES_AT_ONCE // (4 * roomiest)))

    def _figures(self, tallies: dict[str, Tally]) -> Evaluation:
        encoders = {name: method.encoder for name, method in self._methods.items()}
        return Evaluation(
            [_score(method, tallies, self._against) for method in self._methods.values()],
            {name: e.checkpoint for name, e in encoders.items() if e.checkpoint},
            {name: tally.accuracies for name, tally in tallies.items()},
            {n: t.confusion.copy() for n, t in tallies.items() if t.confusion is not None},
            {name: tally.examples for name, tally in tallies.items()},
        )


def _score(method: Method, tallies: dict[str, Tally], against: str | None) -> MethodScore:
    tally, difference = tallies[method.name], None
    against = None if method.name == against else against
    if against is not None:
        # Free of what makes an episode easy or hard for all.
        difference = tally.difference(tallies[against])
    return MethodScore(
        method.name,
        *tally.accuracy(),
        episodes=len(tally.accuracies),
        queries=tally.queries,
        episodes_per_second=len(tally.accuracies) / max(tally.seconds, 1e-9),
        top5=tally.top5,
        calibration_error=tally.calibration_error,
        difference=difference,
        against=against,
        transductive=method.transductive,
    )


def _build(name: str, preset: Preset, settings: Settings, model: str | None) -> Method:
    return get_method(name)(get_encoder(preset.encoder_of(name), model), settings)


def _answers(method: Method, batch: EpisodeBatch, embedded: EmbeddedPool) -> Tensor:
    """Probabilities ``(e, q, n_way)``."""
    if method.tunes_encoder:
        rows = [tuned_answers(method, batch[i], embedded.pool) for i in range(len(batch))]
        return torch.from_numpy(np.stack(rows))
    support = embedded.support(batch, method.encoder, method.n_views)
    return method.predict_batch(support, embedded.queries(batch, method.encoder))


def tuned_answers(method: Method, episode: Episode, pool: Pool) -> np.ndarray:
    """Probabilities ``(q, n_way)`` of a method whose encoder is tuned to the episode, too."""
    names = tuple(pool.classes[c] for c in episode.classes)
    pictures = tuple(pool.pictures[i] for i in episode.support)
    support_set = SupportSet(names, pictures, episode.support_labels)
    encoder = tuned_encoder(method.encoder, method, support_set)
    fitted = type(method)(encoder, method.settings)
    views = encoder.embed_views(pictures, fitted.n_views)
    support = Support(names, episode.support_labels, encoder.embed(pictures), views)
    x = encoder.embed([pool.pictures[i] for i in episode.queries])
    fitted.fit(support, x if fitted.transductive else None)
    return fitted.predict(x).probabilities
