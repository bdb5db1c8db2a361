"""Sentences on what was shown and asked that an answer should be read with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from fewshot.class_names import listed, quoted
from fewshot.data.pool import Pool
from fewshot.known_names import known_among
from fewshot.types import Comparison, Picture, SupportSet

T = TypeVar("T")
MOST_NAMED = 3  # pictures of a kind
# So many are looked at, evenly over the classes, to tell photos from drawings.
SAMPLE = 24
# Median share of half-tones: drawings of any ink and paper have 0.00 to 0.08, photos of 150 kinds
# of things 0.16.
PHOTOGRAPHIC = 0.1


def remarks(
    comparison: Comparison, support: SupportSet, queries: Sequence[Picture] = ()
) -> list[str]:
    """Sentences, each where it applies.

    Args:
        comparison: what came of it.
        support: what was shown.
        queries: what was asked.
    """
    said = [
        blank_supports(_blank(comparison, asked=False)),
        in_two_classes(support),
        shown_already(support, queries),
    ]
    if "clip" in comparison.results:
        said.append(alike_to_clip(support))
    return [sentence for sentence in said if sentence]


def blank_queries(comparison: Comparison) -> str:
    """On pictures asked about in which no drawing was found; nothing without any."""
    names = _blank(comparison, asked=True)
    if not names:
        return ""
    it = "it" if len(names) == 1 else "them"
    return f"No drawing was found in {some(names)}: what is said of {it} rests on nothing."


def _blank(comparison: Comparison, *, asked: bool) -> list[str]:
    return [one.name for one in comparison.without_ink if (one.query is not None) == asked]


def blank_supports(names: Sequence[str]) -> str:
    """On pictures shown in which no drawing was found; nothing without any."""
    if not names:
        return ""
    they = "it stands for its" if len(names) == 1 else "they stand for their"
    return f"No drawing was found in {some(names)}, yet {they} class: remove what shows nothing."


def in_two_classes(support: SupportSet) -> str:
    """On pictures that are shown in more than one class; nothing without any."""
    classes: dict[str, set[int]] = {}
    names: dict[str, str] = {}
    for picture, label in zip(support.pictures, support.labels.tolist(), strict=True):
        classes.setdefault(picture.digest, set()).add(label)
        names.setdefault(picture.digest, picture.name)
    twice = [names[digest] for digest, labels in classes.items() if len(labels) > 1]
    if not twice:
        return ""
    what = "is" if len(twice) == 1 else "are"
    return f"{some(twice)} {what} shown in more than one class, which no method can tell apart."


def shown_already(support: SupportSet, queries: Sequence[Picture]) -> str:
    """On pictures asked about that are shown as well; nothing without any."""
    shown = {picture.digest for picture in support.pictures}
    names = [query.name for query in queries if query.digest in shown]
    if not names:
        return ""
    what, they_come = ("is", "it comes") if len(names) == 1 else ("are", "they come")
    return (
        f"{some(names)} {what} among the pictures shown, too: that {they_come} out right proves "
        "nothing."
    )


def alike_to_clip(support: SupportSet) -> str:
    """On classes whose texts differ in nothing but case, which CLIP does not see."""
    texts: dict[tuple[str, str], list[str]] = {}
    descriptions = support.descriptions or ("",) * len(support.classes)
    for name, description in zip(support.classes, descriptions, strict=True):
        texts.setdefault((name.casefold(), description.casefold()), []).append(name)
    for names in texts.values():
        if len(names) > 1:
            return f"CLIP reads {some(names)} as one name, and cannot tell them apart by it."
    return ""


def photographed(pictures: Sequence[Picture], preset: str, remedy: str) -> str:
    """On photos that are taken for drawings; nothing where they are drawings, or taken for photos.

    Args:
        pictures: some of those that were given.
        preset: a name in PRESETS, what they are taken for.
        remedy: what to do about it: "choose …".
    """
    if preset != "drawings":
        return ""
    from fewshot.encoders.ink import half_tones

    some = evenly(pictures)
    if not some or np.median([half_tones(one.pixels) for one in some]) < PHOTOGRAPHIC:
        return ""
    return f"These look like photos, and as drawings only their outlines are seen: {remedy}."


def with_photos_told(
    comparison: Comparison, support: SupportSet, preset: str, remedy: str
) -> Comparison:
    """With a first caution where photos were taken for drawings; see :func:`photographed`."""
    said = photographed(support.pictures, preset, remedy)
    return replace(comparison, cautions=(said, *comparison.cautions)) if said else comparison


def trained_on(classes: Sequence[str], cautions: Sequence[str]) -> list[str]:
    """A sentence where some classes are nouns that the small embedded CLIP was trained on.

    Args:
        classes: that something is measured on.
        cautions: of the encoders that take part; that one is always cautioned of.
    """
    seen = known_among(classes, "nouns")
    if not (seen and cautions):
        return []
    return [
        f"The small CLIP was trained on photos of {some(seen)}: what is measured on such classes "
        "is no few-shot accuracy."
    ]


def too_small(pool: Pool, needed: int) -> list[str]:
    """A sentence where classes have fewer pictures than an episode takes of each."""
    counts = np.bincount(pool.labels, minlength=len(pool.classes))
    small = [pool.classes[i] for i in np.flatnonzero(counts < needed)]
    if not small:
        return []
    return [f"{some(small)}: fewer than the {needed} pictures that an episode takes of a class."]


def evenly(things: Sequence[T]) -> list[T]:
    """At most ``SAMPLE`` of them, from the first to the last."""
    places = np.unique(np.linspace(0, len(things) - 1, SAMPLE).round().astype(int))
    return [things[i] for i in places] if things else []


def some(names: Sequence[str]) -> str:
    """The first of them in quotes, the rest counted."""
    said = [quoted(name) for name in names[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        said.append(f"{len(names) - MOST_NAMED:,} more")
    return listed(said)
