"""Where a run's files lie, how long it goes on, and who watches: what every trainer is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fewshot.training.checkpoint import progress_of, state_path
from fewshot.training.loop import Progress, Run, train
from fewshot.training.objective import Objective, OnDevice
from fewshot.training.recipe import AnyRecipe, RunRecipe
from fewshot.types import InputError


@dataclass(frozen=True)
class Session:
    """One call of a trainer; a run may take several.

    Attributes:
        output: weights file to write (``.safetensors``), or a folder; the run's state goes
            beside it.
        folder: where the data are; None downloads what can be downloaded.
        minutes: plan as many steps as this machine does in that time, in place of the recipe's;
            a resumed run keeps to the plan it was started with.
        resume: go on from the state beside ``output``.
        overwrite: replace what an earlier run left there; without it that is refused.
        initial: checkpoint to start from.
        on_progress: called every few steps.
        on_part: told what goes on beside the steps, "Reading the drawings".
        should_stop: asked before every step.
    """

    output: Path
    folder: Path | None = None
    minutes: float | None = None
    resume: bool = False
    overwrite: bool = False
    initial: Path | None = None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_part: Callable[[str], None] = lambda what: None
    should_stop: Callable[[], bool] = lambda: False

    @property
    def state(self) -> Path:
        """The file of the run's state."""
        if self.output.suffix == ".safetensors":
            return state_path(self.output)
        return state_path(self.output.with_name(f"{self.output.name}.safetensors"))  # of a folder

    def check_is_file(self) -> None:
        """Raise InputError unless ``output`` names a weights file that may be written."""
        if self.output.suffix != ".safetensors" or self.output.is_dir():
            raise InputError(f"The output must be a .safetensors file, and {self.output} is not.")
        self._check_replaces_nothing(self.output.exists())

    def check_is_folder(self) -> None:
        """Raise InputError unless ``output`` names a folder that may be written."""
        if self.output.exists() and not self.output.is_dir():
            raise InputError(f"The output must be a folder, and {self.output} is not.")
        self._check_replaces_nothing(self.output.is_dir() and any(self.output.iterdir()))

    def _check_replaces_nothing(self, is_there: bool) -> None:
        """A run takes minutes to hours: the next must not replace it because of a slip."""
        if self.resume or self.overwrite:
            return
        anew = "begin anew with --overwrite, or name another --output"
        if self.state.exists():
            done, steps = progress_of(self.state)
            if done < steps:
                raise InputError(
                    f"{self.output} is of a run that stopped after {done:,} of {steps:,} steps: "
                    f"go on with --resume, {anew}."
                )
        if is_there or self.state.exists():
            raise InputError(f"{self.output} is there already: {anew}.")

    def planned(self, recipe: AnyRecipe, seconds_a_step: Callable[[], float]) -> AnyRecipe:
        """The recipe with as many steps as fit into the minutes, where there is such a limit.

        Args:
            recipe: with its own steps.
            seconds_a_step: measures them; not called for a run that was planned before.
        """
        if self.minutes is None:
            return recipe
        if self.resume:
            return recipe.with_changes(steps=progress_of(self.state)[1])
        self.on_part("Timing a few steps")
        return recipe.with_changes(steps=max(1, int(self.minutes * 60 / seconds_a_step())))

    def carry_out(
        self,
        run: Run,
        recipe: RunRecipe,
        data: OnDevice,
        validate: Callable[[Objective], dict[str, float]],
    ) -> None:
        """Train from where the run stands; afterwards its objective has the best weights.

        Raises:
            InputError: the state to resume from is missing, or of another recipe; or the run was
                stopped before its first step, which leaves nothing to write.
        """
        if self.resume:
            run.load(self.state, recipe)
        self.on_part(f"Training, {recipe.steps - run.step:,} steps to go")

        def told(objective: Objective) -> dict[str, float]:
            self.on_part("Measuring on what was held out")
            return validate(objective)

        train(
            run,
            recipe,
            data,
            told,
            state=self.state,
            on_progress=self.on_progress,
            should_stop=self.should_stop,
        )
        if run.step == 0:
            raise InputError("Stopped before the first step: nothing was written.")
        run.objective.load_state_dict(run.best)
