"""How many pairs a set of drawings offers a siamese network to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb


@dataclass(frozen=True)
class PairSpace:
    """Unordered pairs of two different drawings.

    Attributes:
        classes: how many classes.
        each: drawings of each.
        pairs: in all, ``C(classes * each, 2)``.
        same: of which both are of one class, ``classes * C(each, 2)``.
    """

    classes: int
    each: int
    pairs: int
    same: int

    @property
    def different(self) -> int:
        """Pairs of two classes."""
        return self.pairs - self.same


def pair_space(classes: int, each: int) -> PairSpace:
    """Count the pairs of ``classes`` classes of ``each`` drawings."""
    return PairSpace(classes, each, comb(classes * each, 2), classes * comb(each, 2))


def as_sentences(space: PairSpace) -> str:
    """What the numbers are, and what training makes of them."""
    return (
        f"The background set's {space.classes:,} characters of {space.each} drawings each make "
        f"{space.pairs:,} pairs, {space.same:,} of them of the same class: one in "
        f"{space.pairs / space.same:,.0f}. Training draws them half and half, because on pairs "
        "as they come a network that always answers “different” would be right "
        f"{100 * space.different / space.pairs:.1f} % of the time, and would see one positive "
        "pair in a batch of a thousand."
    )
