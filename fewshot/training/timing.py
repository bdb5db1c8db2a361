"""How long a step takes, measured before a run that is given minutes instead of steps."""

from __future__ import annotations

import time
from collections.abc import Callable

from fewshot.training.loop import Run, train
from fewshot.training.recipe import AnyRecipe


def seconds_a_step(
    new: Callable[[AnyRecipe], Run],
    recipe: AnyRecipe,
    data: object,
    steps: int,
    validation: Callable[[object], object] | None = None,
) -> float:
    """Of a short trial whose weights are thrown away.

    Args:
        new: begins a run.
        recipe: what the run is to do.
        data: to train on.
        steps: of the trial.
        validation: where it takes long, what the run validates with: a step is then charged its
            share of one.
    """
    trial = recipe.with_changes(steps=steps + 1, validate_every=steps + 2)
    run = new(trial)
    times: list[float] = []

    def timed() -> bool:
        times.append(time.monotonic())
        return run.step >= steps

    train(run, trial, data, lambda objective: {"score": 0.0}, should_stop=timed)
    per_step = (times[-1] - times[1]) / (len(times) - 2)  # the first step also warms up
    if validation is None:
        return per_step
    began = time.monotonic()
    validation(run.objective)
    return per_step + (time.monotonic() - began) / recipe.validate_every
