"""What a visitor asks to be evaluated, checked, and the protocols it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.class_names import quoted
from fewshot.data.pool import Pool
from fewshot.episodes import Protocol
from fewshot.types import InputError
from fewshot.ui.engine import TITLES
from fewshot.ui.markup import counted

# The registry, which a test compares these with, takes seconds to import.
METHOD_TITLES = TITLES | {
    "prototype": "Prototype",
    "fusion": "Names + prototypes",
    "tip-adapter": "CLIP adapter, untrained",
    "pixels": "Pixels",
    "nearest": "Nearest neighbour",
    "siamese-contrastive": "Siamese, contrastive",
    "matching": "Matching network",
    "prototypical": "Prototypical network",
    "relation": "Relation network",
    "maml": "MAML",
    "koch": "Siamese, Koch et al.",
    "tca": "Transfer components (transductive)",
}
FIRST_METHODS = ["siamese", "triplet", "finetune", "prototype", "pixels"]
SWEEPS = {"": "None", "ways": "Over ways", "shots": "Over shots"}
# Each number's least and most.
LIMITS = {
    "ways": (2, 200),
    "shots": (1, 100),
    "queries": (1, 50),
    "episodes": (2, 2_000),
    "seed": (0, 2**31),
}
# Pictures that a run's episodes hold in all: some minutes' work without a GPU.
MOST_SHOWN = 1_000_000
_WAYS, _FEW_WAYS, _SHOTS = (5, 10, 20, 40, 60, 80, 100), (2, 3, 5), (1, 2, 3, 5, 10)


@dataclass(frozen=True)
class Request:
    """What to evaluate.

    Attributes:
        source: a name in ``evaluate_data.SOURCES``.
        zip_path: the visitor's own data set, or None.
        methods: names in METHOD_TITLES.
        preset: which encoder each method uses.
        model: which CLIP model, or None for the default.
        against: the method that the others are compared with, or None.
        ways, shots, queries, episodes, seed: numbers, as in ``fewshot.episodes``.
        sweep: a name in SWEEPS: what takes several values, in place of the number given.
        within_group: draw each episode from one alphabet.

    Raises:
        InputError: something is missing or out of range.
    """

    source: str = "invented"
    zip_path: str | None = None
    methods: Sequence[str] = tuple(FIRST_METHODS)
    preset: str = "drawings"
    model: str | None = None
    against: str | None = None
    ways: float | None = 5
    shots: float | None = 1
    queries: float | None = 5
    episodes: float | None = 200
    seed: float | None = 0
    sweep: str = ""
    within_group: bool = False

    def __post_init__(self) -> None:
        if not self.methods:
            raise InputError("No method is ticked: tick at least one.")
        for name in [*self.methods, *([self.against] if self.against else [])]:
            if name not in METHOD_TITLES:
                raise InputError(f"There is no method {quoted(str(name))}: tick some of the list.")
        if self.against and self.against not in self.methods:
            raise InputError(
                f"{METHOD_TITLES[self.against]} is to be compared with: tick it among the methods "
                "as well, or compare with none."
            )
        # As they are listed: they are given in the order in which they were ticked.
        ticked = [name for name in METHOD_TITLES if name in self.methods]
        object.__setattr__(self, "methods", ticked)
        if self.sweep not in SWEEPS:
            raise InputError("A sweep goes over ways or over shots: choose one, or none.")
        for name in LIMITS:
            if name != self.sweep:
                object.__setattr__(self, name, _whole(name, getattr(self, name)))

    def protocols(self, pool: Pool) -> list[Protocol]:
        """One, or those of the sweep, as far as the data go.

        Raises:
            InputError: the data are too few for a sweep, or the episodes too much work.
        """
        protocols = [
            Protocol(
                **({"ways": self.ways, "shots": self.shots} | swept),
                queries=self.queries,
                within_group=self.within_group,
            )
            for swept in self._swept(pool)
        ]
        shown = sum(self.episodes * p.ways * (p.shots + p.queries) for p in protocols)
        if shown > MOST_SHOWN:
            raise InputError(
                f"These episodes hold {shown:,} pictures and at most {MOST_SHOWN:,} are gone "
                "through here: ask for fewer episodes, ways, shots or queries."
            )
        return protocols

    def _swept(self, pool: Pool) -> list[dict[str, int]]:
        if not self.sweep:
            return [{}]
        counts = np.bincount(pool.labels, minlength=len(pool.classes))
        groups = [counts]
        if self.within_group and pool.groups is not None:
            groups = [counts[pool.groups == group] for group in np.unique(pool.groups)]
        if self.sweep == "ways":
            needed = self.shots + self.queries
            most = max(int((group >= needed).sum()) for group in groups)
            steps = _WAYS if most > _WAYS[0] else _FEW_WAYS
            values = [n for n in steps if n < most] + [most] * (2 <= most <= steps[-1])
            have = f"{counted(most, 'class', 'classes')} of {needed} or more pictures"
        else:
            # The picture counts of the ways-th largest class: so many can all classes give.
            enough = [np.sort(group)[-self.ways] for group in groups if len(group) >= self.ways]
            most = int(max(enough, default=0)) - self.queries
            values = [n for n in _SHOTS if n <= most]
            have = (
                f"{counted(max(0, most), 'picture')} to show of each of {self.ways} classes, "
                f"beside {self.queries} to ask"
            )
        if len(values) < 2:
            raise InputError(
                f"The data are too few for a sweep over {self.sweep}: they have {have}."
            )
        return [{self.sweep: value} for value in values]


def _whole(name: str, value: float | None) -> int:
    least, most = LIMITS[name]
    wanted = f"type a whole number from {least:,} to {most:,}"
    if value is None:
        raise InputError(f"The number under “{name.capitalize()}” is missing: {wanted}.")
    if value != value or not least <= value <= most or value != int(value):
        raise InputError(f"“{name.capitalize()}” cannot be {value:,}: {wanted}.")
    return int(value)
