"""What every encoder is: pictures to embeddings, with preprocessing and provenance of its own."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fewshot.encoders.pair_head import PairHead
from fewshot.encoders.relation_head import RelationHead
from fewshot.types import InputError, Picture

if TYPE_CHECKING:
    from fewshot.encoders.maml_network import MamlNetwork

# A part of a picture: its top, bottom, left and right, in pixels; the bottom row and the right
# column are the first ones outside.
Box = tuple[int, int, int, int]


class Encoder(ABC):
    """Pictures to float32 embeddings.

    Attributes:
        name: in the registry.
        family: "drawings", "clip" or "pixels": what is tuned alike.
        dim: length of an embedding.
        unit_norm: whether embeddings have length 1.
        digest: identifies weights and preprocessing; embeddings are cached under it.
        checkpoint: SHA-256 of the weights file, or None where there is none.
        source: where the weights come from.
        licence: what they may be used for.
        temperature: factor on cosines between pictures in a softmax, as chosen on validation data
            or learned.
        text_temperature: factor on cosines of pictures and texts, where it reads text.
        reads_text: whether :meth:`embed_texts` works.
        caution: one sentence for people that says where not to trust it, or empty.
        known: ``(c, dim)`` unit-norm float32 means of the classes that it was trained on, or None
            where they are not at hand.
    """

    name: str
    family: str
    dim: int
    unit_norm: bool = True
    digest: str
    checkpoint: str | None = None
    source: str
    licence: str
    temperature: float
    text_temperature: float
    reads_text: bool = False
    caution: str = ""
    known: np.ndarray | None = None

    @abstractmethod
    def embed(self, pictures: Sequence[Picture]) -> np.ndarray:
        """``n`` pictures to ``(n, dim)`` float32, on the CPU."""

    @abstractmethod
    def embed_views(self, pictures: Sequence[Picture], n_views: int) -> np.ndarray:
        """Embeddings of augmented views: ``(n, n_views, dim)`` float32.

        The views of a picture are seeded by its ``views_seed`` alone, so they depend neither on
        the other pictures nor on their order.
        """

    def blind_to(self, pictures: Sequence[Picture]) -> list[Picture]:
        """Those in which it finds nothing to look at, so that all of them look alike to it."""
        return []

    def region(self, picture: Picture) -> Box:
        """What of a picture it looks at."""
        return 0, picture.pixels.shape[0], 0, picture.pixels.shape[1]

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """``t`` texts to ``(t, dim)`` unit-norm float32, where ``reads_text``."""
        raise TypeError(f"the encoder {self.name} reads no text, so not {len(texts)} of them")

    def pair_head(self) -> PairHead:
        """The siamese head trained with these weights, else one that is a plain distance."""
        return PairHead(self.dim).eval()

    def relation_head(self) -> RelationHead:
        """The relation module trained with these weights, else one that is a plain distance."""
        return RelationHead(self.dim).eval()

    def maml_network(self) -> MamlNetwork:
        """The network that MAML adapts to a task, which reads this encoder's embeddings.

        Raises:
            InputError: these weights were not trained for it.
        """
        raise InputError(
            f"MAML adapts a network trained for that, and the encoder {self.name} carries none: "
            "take the preset drawings."
        )


def short_hash(text: str) -> str:
    """Eight hexadecimal digits that tell settings apart."""
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def view_seed(picture: Picture) -> int:
    """A 60-bit seed of a picture's views."""
    return int(picture.views_seed[:15], 16)
