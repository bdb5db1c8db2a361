"""One support set, some queries, every method side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewshot.embedding_cache import EmbeddingCache
from fewshot.encoders import get_encoder
from fewshot.encoders.base import Encoder
from fewshot.index import build_index
from fewshot.methods import Method, Settings, get_method
from fewshot.methods.adaptation import LAST_BLOCK, plan_for
from fewshot.presets import get_preset
from fewshot.types import (
    Blank,
    Comparison,
    InputError,
    MethodResult,
    Neighbour,
    Picture,
    Support,
    SupportSet,
)

# What is compared unless others are asked for, and the cards of the page, in this order: the
# registry holds more, which the command line and the Evaluate tab offer.
COMPARED = ("siamese", "triplet", "finetune", "clip", "clip-adapter")
NEIGHBOURS = 5

# Embeddings of everybody's pictures, by content.
CACHE = EmbeddingCache()


@dataclass(frozen=True)
class FittedMethod:
    """A method that has learned from a support set, and that set in its encoder's space."""

    method: Method
    support: Support
    encoder: Encoder

    def asked(self, queries: np.ndarray) -> Method:
        """The method as it answers these queries, ``(q, d)``; the same for any where inductive."""
        if not self.method.transductive:
            return self.method
        # Fitted anew: what it learned from other queries is of no use here.
        return type(self.method)(self.encoder, self.method.settings).fit(self.support, queries)


@dataclass(frozen=True)
class Fitted:
    """All methods, fitted to one support set: classify as many queries as you like.

    Attributes:
        support_set: what they were fitted to.
        methods: by name, in the order asked for.
        unavailable: by name, why a method could not be fitted.
    """

    support_set: SupportSet
    methods: dict[str, FittedMethod]
    unavailable: dict[str, str]

    def classify(self, queries: Sequence[Picture], cache: EmbeddingCache = CACHE) -> Comparison:
        """Every method's answer to the queries, each embedded once per encoder.

        Raises:
            InputError: there are no queries.
        """
        if not queries:
            raise InputError("There is no query picture: upload or draw at least one to classify.")
        results = {
            name: _answer(fitted, cache.embed(fitted.encoder, queries))
            for name, fitted in self.methods.items()
        }
        names = tuple(query.name for query in queries)
        encoders = {name: fitted.encoder for name, fitted in self.methods.items()}
        asked = [(picture, number) for number, picture in enumerate(queries)]
        pictures = [(picture, None) for picture in self.support_set.pictures] + asked
        blind = {
            picture.digest
            for encoder in {e.digest: e for e in encoders.values()}.values()
            for picture in encoder.blind_to([picture for picture, _ in pictures])
        }
        blank = [Blank(p.name, number) for p, number in pictures if p.digest in blind]
        return Comparison(
            self.support_set.classes,
            names,
            results,
            self.unavailable,
            {name: encoder.source for name, encoder in encoders.items()},
            tuple(dict.fromkeys(e.caution for e in encoders.values() if e.caution)),
            tuple(blank),
            self.support_set.descriptions,
        )


def fit(
    support_set: SupportSet,
    preset: str = "drawings",
    methods: Sequence[str] = COMPARED,
    settings: Settings | None = None,
    *,
    model: str | None = None,
    cache: EmbeddingCache = CACHE,
    encoder_of: Callable[[str, str | None], Encoder] = get_encoder,
) -> Fitted:
    """Fit methods to a support set; one that cannot be had does not keep the others from it.

    Args:
        support_set: labelled pictures; CLIP answers for classes without any, too.
        preset: which encoder each method uses.
        methods: names in METHODS.
        settings: None takes the defaults, with the preset's prompt templates.
        model: which CLIP model.
        cache: where embeddings are kept.
        encoder_of: gives an encoder by name and CLIP model.

    Raises:
        InputError: the preset or a method is unknown, or no method is named or could be fitted.
    """
    if not methods:
        raise InputError("Name at least one method.")
    chosen = get_preset(preset)
    kinds = {name: get_method(name) for name in methods}
    settings = settings or chosen.settings()
    fitted: dict[str, FittedMethod] = {}
    unavailable: dict[str, str] = {}
    supports: dict[str, Support] = {}
    shown = set(support_set.labels.tolist())
    without_picture = [c for i, c in enumerate(support_set.classes) if i not in shown]
    for name, kind in kinds.items():
        try:
            encoder = encoder_of(chosen.encoder_of(name), model)
        except InputError as error:
            unavailable[name] = str(error)
            continue
        method = kind(encoder, settings)
        if method.reads_pictures and without_picture:
            unavailable[name] = (
                f"{method.title} compares pictures: give the class “{without_picture[0]}” at least "
                "one."
            )
            continue
        try:
            encoder = method.encoder = tuned_encoder(encoder, method, support_set)
        except InputError as error:
            unavailable[name] = str(error)
            continue
        if encoder.digest not in supports:
            supports[encoder.digest] = embed_support(support_set, encoder, cache)
        support = supports[encoder.digest]
        if method.n_views:
            views = cache.embed(encoder, support_set.pictures, method.n_views).embeddings
            support = replace(support, views=views)
        try:
            fitted[name] = FittedMethod(method.fit(support), support, encoder)
        except InputError as error:
            unavailable[name] = str(error)
    if not fitted:
        raise InputError(next(iter(unavailable.values())))
    return Fitted(support_set, fitted, unavailable)


def compare(
    support_set: SupportSet,
    queries: Sequence[Picture],
    preset: str = "drawings",
    methods: Sequence[str] = COMPARED,
    settings: Settings | None = None,
    *,
    model: str | None = None,
) -> Comparison:
    """Fit and classify in one call; see :func:`fit` and :meth:`Fitted.classify`."""
    return fit(support_set, preset, methods, settings, model=model).classify(queries)


def tuned_encoder(encoder: Encoder, method: Method, support_set: SupportSet) -> Encoder:
    """The encoder, or a copy of it tuned to the support set where the method asks for that.

    Raises:
        InputError: it cannot be tuned, or not to so many pictures.
    """
    if not method.tunes_encoder:
        return encoder
    from fewshot.encoders.last_block import tune_last_block

    plan = plan_for(encoder.family, LAST_BLOCK, support_set)
    return tune_last_block(
        encoder,
        support_set.pictures,
        support_set.labels,
        steps=plan.steps,
        learning_rate=plan.learning_rate,
    )


def embed_support(
    support_set: SupportSet, encoder: Encoder, cache: EmbeddingCache = CACHE
) -> Support:
    """A support set in an encoder's space, with its index; it may be names alone."""
    embeddings = np.zeros((0, encoder.dim), np.float32)
    if support_set.pictures:
        embeddings = cache.embed(encoder, support_set.pictures).embeddings
    support = Support(
        support_set.classes,
        support_set.labels,
        embeddings,
        files=tuple(picture.name for picture in support_set.pictures),
        descriptions=support_set.descriptions,
    )
    return replace(support, index=build_index(support, encoder.digest))


def _answer(fitted: FittedMethod, embedded) -> MethodResult:
    queries = embedded.embeddings
    began = time.perf_counter()
    prediction = fitted.asked(queries).predict(queries)
    milliseconds = embedded.milliseconds + (time.perf_counter() - began) * 1000 / len(queries)
    shown = fitted.support.embeddings
    scores = None
    if not fitted.method.reads_pictures and len(shown):
        scores = fitted.method.predict(shown).scores
    neighbours = _neighbours(fitted, queries, prediction.evidence)
    return MethodResult(prediction, milliseconds, neighbours, scores)


def _neighbours(
    fitted: FittedMethod, queries: np.ndarray, evidence: np.ndarray | None
) -> tuple[tuple[Neighbour, ...], ...]:
    """The support pictures nearest to each query in the method's own space."""
    entries = fitted.support.index.entries

    def near(query: int, i: int, similarity: float) -> Neighbour:
        measure = None if evidence is None else float(evidence[query, i])
        return Neighbour(i, entries[i].file, entries[i].label, similarity, measure)

    ids, similarities = fitted.method.nearest(fitted.support, queries, NEIGHBOURS)
    return tuple(
        tuple(near(query, int(i), float(s)) for i, s in zip(row_ids, row_similarities, strict=True))
        for query, (row_ids, row_similarities) in enumerate(zip(ids, similarities, strict=True))
    )
