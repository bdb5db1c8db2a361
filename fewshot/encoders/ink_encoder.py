"""What encoders of drawings have in common: of a picture they see the ink alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fewshot.encoders.base import Box, Encoder
from fewshot.encoders.ink import drawing_frame
from fewshot.encoders.ink_views import ink_of, views_of
from fewshot.types import Picture


class InkEncoder(Encoder):
    """Pictures through :func:`fewshot.encoders.ink.find_ink`, some at a time."""

    family = "drawings"
    _size: int  # side of the ink in pixels
    _batch = 256  # pictures or views at a time
    _device = torch.device("cpu")  # where they are embedded

    def embed(self, pictures: Sequence[Picture]) -> np.ndarray:
        """See :class:`Encoder`: of the ink as it is."""
        return self._embed(self._plain(self._ink(pictures)))

    def embed_views(self, pictures: Sequence[Picture], n_views: int) -> np.ndarray:
        """See :class:`Encoder`: random affine and elastic views of the ink."""
        return self._embed_views(self._ink(pictures), pictures, n_views)

    def blind_to(self, pictures: Sequence[Picture]) -> list[Picture]:
        """See :class:`Encoder`: those without ink."""
        inked = ink_of(pictures, self._size).flatten(1).any(1).tolist()
        return [picture for picture, any_ink in zip(pictures, inked, strict=True) if not any_ink]

    def region(self, picture: Picture) -> Box:
        """See :class:`Encoder`: the drawing, as it is framed, where there is one."""
        return drawing_frame(picture.pixels) or super().region(picture)

    def _ink(self, pictures: Sequence[Picture]) -> Tensor:
        """``(n, size, size)`` uint8 on the device."""
        return ink_of(pictures, self._size).to(self._device)

    def _plain(self, ink: Tensor) -> Iterator[Tensor]:
        """``(n, size, size)`` uint8 as :meth:`_embed` takes it."""
        return (part.unsqueeze(1).float() / 255 for part in ink.split(self._batch))

    def _embed_views(self, ink: Tensor, pictures: Sequence[Picture], n_views: int) -> np.ndarray:
        """``(n, size, size)`` ink and its pictures to ``(n, n_views, dim)``."""
        x = self._embed(views_of(ink, pictures, n_views, self._batch))
        return x.reshape(len(pictures), n_views, self.dim)

    @abstractmethod
    def _embed(self, batches: Iterable[Tensor]) -> np.ndarray:
        """Batches ``(b, 1, size, size)`` in 0..1, of ``n`` in all, to ``(n, dim)`` float32."""
