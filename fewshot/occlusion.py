"""Which parts of a picture an answer rests on: each is covered in turn, and the answer watched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fewshot.encoders.base import Box, Encoder
from fewshot.types import Picture, Prediction

GRID = 8  # cells a side
WINDOW = 2  # cells a side of what is covered at a time; its steps are of one cell
N_WINDOWS = (GRID - WINDOW + 1) ** 2
BATCH = 16  # copies of a picture at a time: a run can be stopped between two
SMALLEST = 1e-37  # probability: about the least that float32 holds in full


@dataclass(frozen=True)
class Covered(Picture):
    """A picture with a part covered.

    Attributes:
        whole: the picture itself, whose views an encoder looks at: with views of its own each copy
            would differ by their luck, too.
    """

    whole: Picture

    @cached_property
    def views_seed(self) -> str:
        """See :class:`Picture`."""
        return self.whole.views_seed


@dataclass(frozen=True)
class Copies:
    """A picture and its covered copies as one encoder sees them.

    Attributes:
        box: what of the picture the grid lies over.
        embeddings: ``(1 + N_WINDOWS, d)``, the whole picture first.
    """

    box: Box
    embeddings: np.ndarray


@dataclass(frozen=True)
class Reliance:
    """What covering parts of one picture does to one method's answer.

    Attributes:
        box: what of the picture the grid lies over.
        falls: ``(GRID, GRID)`` float32, by how much the logarithm of the odds of the answer
            against the next class falls where a part is covered: the mean over the windows that
            cover a cell. Below 0 where it rises.
        label: the answer with the most telling window covered.
        probability: of the answer given to the whole picture, with that window covered.
        too_sure: the whole picture leaves the next class no probability that could be told from 0,
            and so the falls say nothing.
    """

    box: Box
    falls: np.ndarray
    label: str
    probability: float
    too_sure: bool = False


def look_at(encoder: Encoder, picture: Picture) -> Iterator[float | Copies]:
    """Embed a picture whole and with each window covered.

    Yields:
        The share done after each batch, and at last the copies.
    """
    box = encoder.region(picture)
    copies: list[Picture] = [picture, *covered(picture, box)]
    parts = []
    for start in range(0, len(copies), BATCH):
        parts.append(encoder.embed(copies[start : start + BATCH]))
        yield min(1.0, (start + BATCH) / len(copies))
    yield Copies(box, np.concatenate(parts))


def covered(picture: Picture, box: Box) -> list[Covered]:
    """A copy for each window, row by row, the window filled with the picture's median colour.

    In a drawing that is the colour of its ground.
    """
    colour = np.median(picture.pixels.reshape(-1, 3), axis=0).astype(np.uint8)
    copies = []
    for rows, columns in windows(box):
        pixels = picture.pixels.copy()
        pixels[rows, columns] = colour
        copies.append(Covered(picture.name, pixels, picture))
    return copies


def windows(box: Box) -> list[tuple[slice, slice]]:
    """The rows and columns of a picture that each window takes, row by row."""
    top, bottom, left, right = box
    ys, xs = (
        np.linspace(a, b, GRID + 1).round().astype(int) for a, b in ((top, bottom), (left, right))
    )
    steps = range(GRID - WINDOW + 1)
    return [
        (slice(int(ys[i]), int(ys[i + WINDOW])), slice(int(xs[j]), int(xs[j + WINDOW])))
        for i in steps
        for j in steps
    ]


def reliance(prediction: Prediction, box: Box) -> Reliance:
    """What a method's answers to a picture and its covered copies tell.

    Zeiler, Fergus: Visualizing and understanding convolutional networks, ECCV 2014,
    https://arxiv.org/abs/1311.2901 (there the probability itself is shown, which at 100 % tells
    little; here the logarithm of the odds). Parts that only count together are not found: with one
    of them covered the other still answers.

    Args:
        prediction: of ``1 + N_WINDOWS`` pictures, the whole one first.
        box: of the copies.
    """
    p = np.maximum(prediction.probabilities, SMALLEST)
    answer = int(p[0].argmax())
    lead = np.log(p[:, answer]) - np.log(np.delete(p, answer, axis=1).max(1))  # (1 + N_WINDOWS,)
    falls = lead[0] - lead[1:]
    most = 1 + int(falls.argmax())
    return Reliance(
        box,
        over_cells(falls),
        prediction.labels[most],
        float(prediction.probabilities[most, answer]),
        bool(np.delete(p[0], answer).max() <= SMALLEST),
    )


def over_cells(values: np.ndarray) -> np.ndarray:
    """From windows to cells: the mean over those that cover a cell; ``(GRID, GRID)`` float32."""
    side = GRID - WINDOW + 1
    total, count = np.zeros((2, GRID, GRID), np.float32)
    grid = values.reshape(side, side)
    for i in range(WINDOW):
        for j in range(WINDOW):
            total[i : i + side, j : j + side] += grid
            count[i : i + side, j : j + side] += 1
    return total / count
