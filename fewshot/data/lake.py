"""Lake's official one-shot test: 20 runs of 20-way 1-shot within an alphabet.

Lake, Salakhutdinov, Tenenbaum, Science 350 (2015),
https://github.com/brendenlake/omniglot/tree/master/python/one-shot-classification.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.data.pool import Pool
from fewshot.episodes import EpisodeBatch, Episodes
from fewshot.images import decode
from fewshot.types import InputError, Picture


def load_lake(folder: Path) -> tuple[Pool, Episodes]:
    """Read the runs.

    Args:
        folder: holds ``run01``, ``run02``, …, each with ``training/classNN.png``,
            ``test/itemNN.png`` and ``class_labels.txt``, whose lines pair a test item's path with
            its class's path, both from the run folder's name on.

    Returns:
        All pictures as a pool, and an episode for each run.

    Raises:
        InputError: there is no run, or one is incomplete.
    """
    runs = sorted(path for path in folder.glob("run*") if path.is_dir())
    if not runs:
        raise InputError(
            f"{folder} holds no folder run01, run02 and so on: give the one that Lake's "
            "all_runs.zip was unpacked into."
        )
    pictures: list[Picture] = []
    labels: list[int] = []
    classes: list[str] = []
    episodes = [_read_run(run, pictures, labels, classes) for run in runs]
    return Pool(pictures, np.array(labels), tuple(classes)), Episodes.of(episodes)


def _read_run(
    run: Path, pictures: list[Picture], labels: list[int], classes: list[str]
) -> EpisodeBatch:
    """Append a run's pictures to the pool; return its episode, alone in a batch."""
    answers = _answers(run)
    shown = sorted(f"{run.name}/training/{path.name}" for path in (run / "training").glob("*.png"))
    if len(shown) < 2 or not answers:
        raise InputError(
            f"{run} has {len(shown)} training pictures and {len(answers)} labelled test items: "
            "unpack all_runs.zip anew."
        )
    unknown = [answer for answer in answers.values() if answer not in shown]
    if unknown:
        raise InputError(
            f"{run / 'class_labels.txt'} names {unknown[0]}, which is not there: "
            "unpack all_runs.zip anew."
        )
    first_class, first_picture = len(classes), len(pictures)
    query_labels = np.array([shown.index(answer) for answer in answers.values()])
    classes += shown
    pictures += [decode(run.parent / name, name) for name in (*shown, *answers)]
    labels += [first_class + i for i in (*range(len(shown)), *query_labels.tolist())]
    return EpisodeBatch(
        classes=first_class + np.arange(len(shown))[None],
        support=first_picture + np.arange(len(shown))[None],
        support_labels=np.arange(len(shown)),
        queries=first_picture + len(shown) + np.arange(len(answers))[None],
        query_labels=query_labels,
    )


def _answers(run: Path) -> dict[str, str]:
    """Test item's path -> its class's path, in the file's order."""
    try:
        lines = (run / "class_labels.txt").read_text("utf-8").splitlines()
        pairs = [line.split() for line in lines if line.strip()]
        return dict(pairs)
    except (OSError, ValueError) as error:
        path = run / "class_labels.txt"
        raise InputError(
            f"{path} is missing or not pairs of paths: unpack all_runs.zip anew."
        ) from error
