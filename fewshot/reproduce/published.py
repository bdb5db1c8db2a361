"""Figures of the literature, to stand beside ours: each with its protocol and its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A citation."""

    authors: str
    year: int
    title: str
    link: str

    def __str__(self) -> str:
        return f"[{self.authors} {self.year}]({self.link})"


LAKE = Paper(
    "Lake et al.",
    2015,
    "Human-level concept learning through probabilistic program induction",
    "https://doi.org/10.1126/science.aab3050",
)
PROGRESS = Paper(
    "Lake et al.",
    2019,
    "The Omniglot challenge: a 3-year progress report",
    "https://arxiv.org/abs/1902.03477",
)
KOCH = Paper(
    "Koch et al.",
    2015,
    "Siamese neural networks for one-shot image recognition",
    "https://www.cs.cmu.edu/~rsalakhu/papers/oneshot1.pdf",
)
VINYALS = Paper(
    "Vinyals et al.",
    2016,
    "Matching networks for one shot learning",
    "https://arxiv.org/abs/1606.04080",
)
FINN = Paper(
    "Finn et al.",
    2017,
    "Model-agnostic meta-learning for fast adaptation of deep networks",
    "https://arxiv.org/abs/1703.03400",
)
SNELL = Paper(
    "Snell et al.",
    2017,
    "Prototypical networks for few-shot learning",
    "https://arxiv.org/abs/1703.05175",
)
SHYAM = Paper(
    "Shyam et al.", 2017, "Attentive recurrent comparators", "https://arxiv.org/abs/1703.00767"
)
SUNG = Paper(
    "Sung et al.",
    2018,
    "Learning to compare: relation network for few-shot learning",
    "https://arxiv.org/abs/1711.06025",
)
DHILLON = Paper(
    "Dhillon et al.",
    2020,
    "A baseline for few-shot image classification",
    "https://arxiv.org/abs/1909.02729",
)


@dataclass(frozen=True)
class Figure:
    """A published accuracy on Omniglot, 20-way 1-shot.

    Attributes:
        what: the method, or people.
        accuracy: in %.
        paper: where it is printed.
        ours: our method to print beside it, or None.
        remark: where its protocol differs from the others of its list.
    """

    what: str
    accuracy: float
    paper: Paper
    ours: str | None = None
    remark: str = ""


PEOPLE = Figure("people", 95.5, LAKE)

AT_RANDOM = (
    Figure("pixels, nearest neighbour", 26.7, VINYALS, "pixels"),
    Figure("convolutional siamese net", 88.0, VINYALS, "siamese", "their own implementation"),
    Figure("Matching Networks", 93.8, VINYALS, "matching"),
    Figure("MAML", 95.8, FINN, "maml"),
    Figure("Prototypical Networks", 96.0, SNELL, "prototypical"),
    Figure("Relation Networks", 97.6, SUNG, "relation"),
)
AT_RANDOM_REMARK = (
    "Published: Vinyals' split, 1,200 characters of all 50 alphabets to learn from and the other "
    "423 to test on, both also turned by multiples of 90° as further classes, at 28×28 pixels; "
    "characters of one alphabet are on both sides. Ours: the alphabets tested on are unseen, half "
    "of Lake's 20 evaluation alphabets, upright. The figures are near each other, not equal in "
    "what they ask."
)
WITHIN = (
    PEOPLE,
    Figure("Bayesian Program Learning", 96.7, LAKE, None, "learned from strokes too"),
    Figure(
        "Prototypical Networks", 86.3, PROGRESS, "prototypical", "background set, as Lake divides"
    ),
    Figure("siamese net", 92.0, KOCH, "koch", "40 alphabets in its background set instead of 30"),
    Figure("ARC", 98.5, SHYAM, None, "more characters to learn from than the background set"),
)
WITHIN_REMARK = (
    "Published: Lake's 20 official runs, in each of which 20 characters of one drawer are to be "
    "matched with another drawer's. Ours: episodes drawn at random within each evaluation alphabet "
    "that has 20 characters, any drawers, so not the same pictures; the official runs are a column "
    "of their own where they were at hand. `koch` is as far on as its own run went (see *Train*)."
)


@dataclass(frozen=True)
class Gain:
    """A published gain from fine-tuning over the same network's support-based initialisation.

    Attributes:
        shots: 1 or 5, of 5 ways.
        transductive: whether the queries were looked at.
        gains: points, by data set.
    """

    shots: int
    transductive: bool
    gains: dict[str, float]


def _gains(shots: int, transductive: bool, *pairs: tuple[float, float]) -> Gain:
    """From ``(initialisation, tuned)`` accuracies in the order of the table's columns."""
    sets = ("Mini-ImageNet", "Tiered-ImageNet", "CIFAR-FS", "FC-100")
    points = [round(tuned - start, 2) for start, tuned in pairs]
    return Gain(shots, transductive, dict(zip(sets, points, strict=True)))


# Their Table 1, WRN-28-10 learned from the training classes alone: accuracies as printed.
GAINS = (
    _gains(1, False, (56.17, 57.73), (67.45, 66.58), (70.26, 68.72), (36.82, 38.25)),
    _gains(1, True, (56.17, 65.73), (67.45, 73.34), (70.26, 76.58), (36.82, 43.16)),
    _gains(5, False, (73.31, 78.17), (82.88, 85.55), (83.82, 86.11), (49.72, 57.19)),
    _gains(5, True, (73.31, 78.40), (82.88, 85.50), (83.82, 85.79), (49.72, 57.57)),
)
GAINS_REMARK = (
    "The published gains are over the network's own start, on four data sets. The +2 to +7 points "
    "(1-shot) and +1.5 to +4 (5-shot) that are often quoted from that paper are those of the "
    "transductive variant over the best earlier methods, not of fine-tuning over its start. There "
    "the whole network is tuned (WRN-28-10); here W and b alone, from prototypes drawn to the "
    "classes that the encoder was trained on (inductive only), which is frozen, has 4.9 million "
    "parameters, and sees 64×64 pictures."
)
