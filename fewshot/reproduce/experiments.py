"""What is measured, as data: one experiment for each file of results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

SEED = 0
EPISODES = 1000
# Episodes of methods that take long over one. They are the first of the others' episodes, and
# the record of each result says how many there were.
FEWER = {"maml": 60}

# In the order of the tables. One whose encoder is not on the machine is left out, and told of.
DRAWINGS_METHODS = (
    "pixels",
    "nearest",
    "siamese",
    "siamese-contrastive",
    "triplet",
    "matching",
    "prototypical",
    "relation",
    "maml",
    "prototype",
    "finetune",
)
CURVE_METHODS = ("pixels", "siamese", "prototypical", "prototype")
NAMES_AND_PICTURES = ("clip", "prototype", "fusion", "clip-adapter")
# Its weights do not come with the project: by itself, its record stays while the others are anew.
KOCH = "koch"
WAYS = (2, 5, 10, 20, 30, 40, 50, 60)
SHOTS = tuple(range(1, 11))


@dataclass(frozen=True)
class Task:
    """A protocol of an experiment.

    Attributes:
        ways: classes; 0 for all that there are.
        shots: support pictures of each; 0 where names alone are asked.
        queries: of each class.
        within_alphabet: draw an episode's classes from one alphabet.
        distortion: what is done to the drawings, or None.
        queries_only: distort the queries alone: they then come from another domain.
    """

    ways: int
    shots: int
    queries: int = 1
    within_alphabet: bool = False
    distortion: str | None = None
    queries_only: bool = False


@dataclass(frozen=True)
class Experiment:
    """Some methods on some protocols of one data set.

    Attributes:
        name: of its file, and for ``--only``.
        data: a key of :data:`fewshot.reproduce.pools.SOURCES`.
        methods: in the order of the tables.
        tasks: the protocols; none where the data prescribe their episodes.
        episodes: of each protocol.
        against: the method that the others are compared with, episode by episode.
        preset: which encoder each method uses.
        model: which CLIP model.
        transductive: let ``finetune`` look at all queries of an episode at once.
    """

    name: str
    data: str
    methods: tuple[str, ...]
    tasks: tuple[Task, ...] = ()
    episodes: int = EPISODES
    against: str | None = "prototype"
    preset: str = "drawings"
    model: str | None = None
    transductive: bool = False

    def episodes_of(self, method: str, at_most: int | None = None) -> int:
        """Episodes for a method, with a limit that a person may set."""
        limits = [self.episodes, FEWER.get(method, self.episodes), at_most or self.episodes]
        return min(limits)


_ON_DRAWINGS = tuple(
    Task(ways, shots, within_alphabet=within)
    for within, ways, shots in product((False, True), (5, 20), (1, 5))
)
_INDUCTIVE = Experiment(
    "finetune-inductive",
    "photos-evaluation",
    ("prototype", "finetune"),
    (Task(5, 1, queries=15), Task(5, 5, queries=15)),
    episodes=600,
    preset="photos",
    model="embedded",
)
# With names that the embedded CLIP was trained on, and with names that it was not.
_NAMES_KNOWN = Experiment(
    "names-known",
    "photos-unseen",
    NAMES_AND_PICTURES,
    tuple(Task(20, shots, queries=5) for shots in (1, 4, 16)),
    episodes=200,
    against="clip",
    preset="photos",
    model="embedded",
)
_NAMES_NEW = replace(_NAMES_KNOWN, name="names-new", data="photos-evaluation")

# Those of one data set follow each other, so that its embeddings are read once.
EXPERIMENTS = (
    Experiment("invented", "invented", DRAWINGS_METHODS, (Task(5, 1), Task(20, 1))),
    Experiment("drawings", "omniglot-evaluation", DRAWINGS_METHODS, _ON_DRAWINGS),
    Experiment(
        "transductive",
        "omniglot-evaluation",
        ("prototype", "finetune"),
        tuple(
            Task(ways, 1, within_alphabet=within)
            for within, ways in ((False, 5), (False, 20), (False, 60), (True, 5), (True, 20))
        ),
        transductive=True,
    ),
    Experiment(KOCH, "omniglot-evaluation", (KOCH,), _ON_DRAWINGS, against=None),
    Experiment(
        "ways-evaluation", "omniglot-evaluation", CURVE_METHODS, tuple(Task(n, 1) for n in WAYS)
    ),
    Experiment(
        "shots-evaluation", "omniglot-evaluation", CURVE_METHODS, tuple(Task(20, k) for k in SHOTS)
    ),
    Experiment(
        "distortions",
        "omniglot-evaluation",
        ("prototype",),
        tuple(
            Task(5, 5, queries=3, distortion=name)
            for name in (None, "paper", "inverted", "coloured", "thick", "off-centre")
        ),
        episodes=100,
        against=None,
    ),
    Experiment(
        "domains",
        "omniglot-evaluation",
        ("prototype", "tca"),
        tuple(
            Task(ways, 1, queries, distortion=name, queries_only=True)
            for name in ("blurred", "rough")
            for ways, queries in ((5, 5), (20, 1))
        ),
    ),
    Experiment(
        "ways-training", "omniglot-training", CURVE_METHODS, tuple(Task(n, 1) for n in WAYS)
    ),
    Experiment(
        "shots-training", "omniglot-training", CURVE_METHODS, tuple(Task(20, k) for k in SHOTS)
    ),
    Experiment("lake", "lake", (*DRAWINGS_METHODS, KOCH)),
    Experiment("latin", "omniglot-latin", ("clip",), (Task(0, 0),), against=None, model="embedded"),
    Experiment(
        "nouns",
        "photos-unseen",
        ("clip",),
        (Task(0, 0),),
        against=None,
        preset="photos",
        model="embedded",
    ),
    _NAMES_KNOWN,
    _NAMES_NEW,
    _INDUCTIVE,
    replace(_INDUCTIVE, name="finetune-transductive", transductive=True),
)
NAMES = tuple(experiment.name for experiment in EXPERIMENTS)
