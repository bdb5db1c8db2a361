"""Run an experiment: its methods on its protocols, all of them on the same episodes."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from fewshot.data.distortions import distort
from fewshot.data.pool import Pool
from fewshot.embedded_pool import EmbeddedPool
from fewshot.episodes import Episodes, Protocol, draw_episodes, names_episode
from fewshot.evaluation import Evaluator, Progress
from fewshot.evaluation_results import MethodScore
from fewshot.methods import Settings
from fewshot.metrics import mean_interval
from fewshot.presets import get_preset
from fewshot.reproduce.experiments import EXPERIMENTS, SEED, Experiment, Task
from fewshot.reproduce.pools import Loaded, Pools
from fewshot.reproduce.provenance import provenance, without_places
from fewshot.types import InputError

# Each result also has the figures of its first episodes, for a test that runs those again.
FIRST = 200
DIGITS = 5


class UnfinishedError(Exception):
    """The person asked to stop: the experiment has no result."""


class Runner:
    """Runs experiments; embeddings of one data set are shared by those that follow each other."""

    def __init__(
        self,
        pools: Pools,
        command: str,
        episodes: int | None = None,
        on_progress: Progress = lambda share, what: None,
        stopping: Callable[[], object] = lambda: False,
    ) -> None:
        """Prepare.

        Args:
            pools: where the data lie.
            command: as it is recorded.
            episodes: at most so many of each protocol; None for what the experiments say.
            on_progress: told the share of a task that is done, and what it is.
            stopping: asked between batches whether to stop.
        """
        self._pools, self._command, self._episodes = pools, command, episodes
        self._on_progress, self._stopping = on_progress, stopping
        self._embedded: dict[tuple[str, str | None, bool], tuple[Pool, EmbeddedPool]] = {}

    def run(self, experiment: Experiment) -> dict:
        """An experiment's record.

        Raises:
            InputError: the data are not there, or nothing of it can be run.
            UnfinishedError: the person asked to.
        """
        made_by = provenance()  # now: the tree may change meanwhile
        began = time.perf_counter()
        loaded = self._pools.load(experiment.data)
        if not any(key[0] == experiment.data for key in self._embedded):
            self._embedded.clear()
        preset = get_preset(experiment.preset)
        settings = preset.settings(transductive=experiment.transductive)
        able, left_out = _able(experiment, loaded.pool, settings)
        if not able:
            raise InputError(f"{experiment.name}: {next(iter(left_out.values()))}")
        runs, checkpoints = [], {}
        for task in experiment.tasks or (None,):
            try:
                run = self._run_task(experiment, task, loaded, settings, able)
            except InputError as error:  # fewer classes or pictures than it needs
                left_out[_called(task)] = without_places(str(error))
                continue
            checkpoints |= run.pop("checkpoints")
            runs.append(run)
        if not runs:
            raise InputError(f"{experiment.name}: {list(left_out.values())[-1]}")
        return {
            "experiment": experiment.name,
            "data": loaded.as_json(experiment.data),
            "preset": experiment.preset,
            "model": experiment.model,
            "finetune": {
                "steps": settings.steps,
                "entropy_weight": settings.entropy_weight,
                "transductive": settings.transductive,
            },
            "seed": SEED,
            **made_by,
            "seconds": round(time.perf_counter() - began, 1),
            "command": self._command,
            "checkpoints": checkpoints,
            "left_out": left_out,
            "runs": runs,
        }

    def _run_task(
        self,
        experiment: Experiment,
        task: Task | None,
        loaded: Loaded,
        settings: Settings,
        able: list[str],
    ) -> dict:
        counts = dict.fromkeys(experiment.episodes_of(name, self._episodes) for name in able)
        scores: dict[str, dict] = {}
        checkpoints: dict[str, str] = {}
        protocol: dict = {}

        def told(share: float, _: str) -> None:
            self._told(share, f"{experiment.name}: {_called(task)}")

        for count in counts:
            names = [n for n in able if experiment.episodes_of(n, self._episodes) == count]
            asked = list(names)
            against = experiment.against if experiment.against in able else None
            if against and against not in asked:
                asked.append(against)  # over as many episodes as they have
            pool, embedded = self._embed(experiment, task, loaded)
            evaluator = Evaluator(
                pool, asked, experiment.preset, settings, model=experiment.model, against=against
            )
            for share, what in evaluator.embedding(embedded):
                self._told(share, f"{experiment.name}: {what}")
            drawn = _moved(task, _drawn(task, loaded, count), loaded.pool)
            protocol = protocol or _protocol(task, drawn, loaded)
            (result,) = deque(evaluator.steps(drawn, embedded, told), maxlen=1)
            checkpoints |= {n: h for n, h in result.checkpoints.items() if n in names}
            for score in result.scores:
                if score.method in names:
                    scores[score.method] = _as_json(score, result.accuracies[score.method])
        return {
            "protocol": protocol,
            "results": [scores[name] for name in able],
            "checkpoints": checkpoints,
        }

    def _told(self, share: float, what: str) -> None:
        if self._stopping():
            raise UnfinishedError
        self._on_progress(share, what)

    def _embed(
        self, experiment: Experiment, task: Task | None, loaded: Loaded
    ) -> tuple[Pool, EmbeddedPool]:
        """The pool, as the task distorts it, and its embeddings, to be filled.

        They are of all pictures that any experiment on these data uses: the user's cache is then
        asked for the same ones whichever of them is run.
        """
        distortion, queries_only = (task.distortion, task.queries_only) if task else (None, False)
        key = (experiment.data, distortion, queries_only)
        if key not in self._embedded:
            used = list(self._all_episodes(*key, loaded))
            pool = loaded.pool
            if distortion:
                pool, used = distort(pool, used, distortion, SEED, queries_only=queries_only)
            self._embedded[key] = pool, EmbeddedPool(pool, used, on_disk=True)
        return self._embedded[key]

    def _all_episodes(
        self, data: str, distortion: str | None, queries_only: bool, loaded: Loaded
    ) -> Iterator[Episodes]:
        if loaded.fixed is not None:
            yield loaded.fixed
            return
        for experiment in EXPERIMENTS:
            count = min(experiment.episodes, self._episodes or experiment.episodes)
            for task in experiment.tasks if experiment.data == data else ():
                if (task.distortion, task.queries_only) == (distortion, queries_only):
                    try:
                        yield _drawn(task, loaded, count)
                    except InputError:
                        continue  # told of when its turn comes


def _able(
    experiment: Experiment, pool: Pool, settings: Settings
) -> tuple[list[str], dict[str, str]]:
    """The methods that can be had, and a sentence for each of the others."""
    able, left_out = [], {}
    for name in experiment.methods:
        try:
            Evaluator(pool, [name], experiment.preset, settings, model=experiment.model)
        except InputError as error:
            left_out[name] = without_places(str(error))
        else:
            able.append(name)
    return able, left_out


def _drawn(task: Task | None, loaded: Loaded, episodes: int) -> Episodes:
    if loaded.fixed is not None:
        return loaded.fixed
    assert task is not None
    pool = loaded.pool
    if not task.shots:
        return names_episode(pool.labels)
    protocol = Protocol(task.ways, task.shots, task.queries, task.within_alphabet)
    return draw_episodes(pool.labels, protocol, episodes, SEED, pool.groups)


def _moved(task: Task | None, drawn: Episodes, pool: Pool) -> Episodes:
    """The same episodes where the distorted pictures stand behind the others in the pool."""
    if task is None or not task.queries_only:
        return drawn
    n = len(pool.pictures)
    return drawn.changed(lambda batch: replace(batch, queries=batch.queries + n))


def _protocol(task: Task | None, drawn: Episodes, loaded: Loaded) -> dict:
    if task is None:
        return {"ways": len(next(iter(drawn)).classes), "shots": 1, "within_alphabet": True}
    return {
        "ways": task.ways or len(loaded.pool.classes),
        "shots": task.shots,
        "queries": task.queries,
        "within_alphabet": task.within_alphabet,
        "distortion": task.distortion,
        "queries_only": task.queries_only,
    }


def _called(task: Task | None) -> str:
    if task is None:
        return "the runs as they are"
    where = " within alphabets" if task.within_alphabet else ""
    changed = f", {task.distortion}" if task.distortion else ""
    changed += " queries" if task.queries_only else ""
    return f"{task.ways or 'all'}-way {task.shots}-shot{where}{changed}"


def _as_json(score: MethodScore, accuracies: np.ndarray) -> dict:
    # Of one episode there is an interval over its queries, and none of a difference.
    if math.isnan(score.ci95) or (score.difference and math.isnan(score.difference[1])):
        raise InputError("An interval needs two episodes, or two of Lake's runs, or more.")
    values = {
        "method": score.method,
        "accuracy": round(score.accuracy, DIGITS),
        "ci95": round(score.ci95, DIGITS),
        "episodes": score.episodes,
        "queries": score.queries,
        "top5": round(score.top5, DIGITS),
        "calibration_error": round(score.calibration_error, DIGITS),
    }
    if score.difference is not None:
        values["against"] = score.against
        values["difference"] = [round(value, DIGITS) for value in score.difference]
    if len(accuracies) >= FIRST:
        mean, half = mean_interval(accuracies[:FIRST])
        values["first"] = {
            "episodes": FIRST, "accuracy": round(mean, DIGITS), "ci95": round(half, DIGITS)
        }  # fmt: skip
    return values
