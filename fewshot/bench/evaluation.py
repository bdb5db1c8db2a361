"""Episodes per second, beside easyfsl's on the same embeddings; and the memory of a long run."""

from __future__ import annotations

import random
import resource
import sys

import numpy as np
import torch

from fewshot.bench.timing import OnPart, seconds, unheard
from fewshot.device import best_device
from fewshot.encoders.base import Encoder
from fewshot.episodes import Episodes, Protocol, draw_episodes
from fewshot.methods import METHODS, Method, Settings
from fewshot.methods.batch import SupportBatch
from fewshot.metrics import mean_interval, normalise
from fewshot.tally import Tally
from fewshot.types import InputError

CLASSES, PER_CLASS, DIM = 50, 60, 512
PROTOCOL = Protocol(ways=5, shots=1, queries=15)
STEPS = 100
# Each side runs for some seconds.
EPISODES = {"prototype": (20_000, 2_000), "finetune": (8_000, 150)}
LONG_RUN = 100_000


class _Given(Encoder):
    """Stands for the embeddings, which are there already."""

    name, family, dim, digest, source, licence = "given", "drawings", DIM, "given", "", ""
    temperature = 10.0

    def embed(self, pictures):
        """Not called: the embeddings are given."""
        raise TypeError("there are no pictures here")

    embed_views = embed


def measure(on_part: OnPart = unheard) -> dict:
    """Measure both methods and a long run; see the keys of the result.

    Raises:
        InputError: easyfsl is not installed.
    """
    try:
        import easyfsl.methods as theirs
    except ImportError as error:
        raise InputError("This needs easyfsl: pip install easyfsl.") from error
    x = _embeddings()
    device = best_device()
    figures: dict = {"device": f"{device.type}, {torch.get_num_threads()} threads"}
    rivals = {
        "prototype": theirs.PrototypicalNetworks(feature_normalization=2),
        "finetune": theirs.Finetune(
            fine_tuning_steps=STEPS, fine_tuning_lr=1e-2, temperature=_Given.temperature
        ),
    }
    for number, (name, rival) in enumerate(rivals.items()):
        on_part(number / 3, f"{name} beside easyfsl's")
        ours, baseline = EPISODES[name]
        method = METHODS[name](_Given(), Settings(steps=STEPS))
        rate, accuracy = _ours(method, x, ours)
        their_rate, their_accuracy = _theirs(rival, x, baseline)
        figures |= {
            f"{name}, episodes/s": round(rate),
            f"{name}, easyfsl, episodes/s": round(their_rate),
            f"{name}, ratio": round(rate / their_rate, 1),
            f"{name}, accuracy": _shown(accuracy),
            f"{name}, easyfsl, accuracy": _shown(their_accuracy),
        }
    on_part(2 / 3, f"the memory of {LONG_RUN:,} episodes")
    _ours(METHODS["prototype"](_Given()), x, LONG_RUN)
    figures[f"peak memory after {LONG_RUN:,} episodes more, MB"] = _peak_megabytes()
    return figures


def _embeddings() -> np.ndarray:
    """``(CLASSES * PER_CLASS, DIM)`` unit rows: clouds that overlap, class by class."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, 1, DIM))
    x = centres + 2.2 * rng.normal(size=(CLASSES, PER_CLASS, DIM))
    return normalise(x.reshape(-1, DIM)).astype(np.float32)


def _ours(method: Method, x: np.ndarray, count: int) -> tuple[float, tuple[float, float]]:
    """Episodes per second, drawing included, and accuracy with its interval."""
    labels = np.arange(CLASSES).repeat(PER_CLASS)
    table, tally = torch.from_numpy(x).to(best_device()), Tally(CLASSES)
    _classify(method, table, draw_episodes(labels, PROTOCOL, 64, seed=1), Tally(CLASSES))  # warm up
    episodes = draw_episodes(labels, PROTOCOL, count, seed=0)
    return count / seconds(lambda: _classify(method, table, episodes, tally)), tally.accuracy()


def _classify(method: Method, x: torch.Tensor, episodes: Episodes, tally: Tally) -> None:
    names = tuple(map(str, range(CLASSES)))
    for batch in episodes.batches():
        shown, asked = (
            x.index_select(0, torch.from_numpy(part).flatten().to(x.device)).unflatten(
                0, part.shape
            )
            for part in (batch.support, batch.queries)
        )
        labels = torch.from_numpy(batch.support_labels).to(x.device)
        support = SupportBatch(names, batch.classes, labels, shown)
        tally.add(batch, method.predict_batch(support, asked), 0.0)


def _theirs(rival, x: np.ndarray, count: int) -> tuple[float, tuple[float, float]]:
    """The same of easyfsl, through its own data set, sampler and loop over tasks."""
    from easyfsl.datasets import FeaturesDataset
    from easyfsl.samplers import TaskSampler
    from easyfsl.utils import evaluate_on_one_task
    from torch.utils.data import DataLoader, Sampler

    labels = np.arange(CLASSES).repeat(PER_CLASS).tolist()
    data = FeaturesDataset(labels, torch.from_numpy(x), list(map(str, range(CLASSES))))
    # easyfsl 1.5 passes an argument that torch's Sampler has lost since.
    original, Sampler.__init__ = Sampler.__init__, lambda self, data_source=None: None
    try:
        sampler = TaskSampler(data, PROTOCOL.ways, PROTOCOL.shots, PROTOCOL.queries, count)
    finally:
        Sampler.__init__ = original
    random.seed(0)  # what its sampler draws from
    loader = DataLoader(data, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn)
    accuracies: list[float] = []

    def run() -> None:
        rival.eval()
        with torch.no_grad():
            for task in loader:
                right, asked = evaluate_on_one_task(rival, *task[:4])
                accuracies.append(right / asked)

    return count / seconds(run), mean_interval(np.array(accuracies))


def _shown(accuracy: tuple[float, float]) -> str:
    return f"{100 * accuracy[0]:.2f} ± {100 * accuracy[1]:.2f} %"


def _peak_megabytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
