"""``train``: make a checkpoint."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from fewshot.cli.arguments import Status, at_least, output_path, positive, seed, stopping
from fewshot.types import InputError

HELP = "Train an encoder for drawings on Omniglot, or the embedded CLIP on photos and fonts."
EXAMPLES = """\
  python -m fewshot train prototype --feature-map --data omniglot --output prototype.safetensors
  python -m fewshot train prototype --data omniglot --output first.safetensors
  python -m fewshot train siamese --data omniglot --init first.safetensors \\
      --output siamese.safetensors --minutes 15
  python -m fewshot train siamese --data omniglot --init first.safetensors \\
      --output siamese.safetensors --resume
  python -m fewshot train relation --data omniglot --init first.safetensors \\
      --output relation.safetensors
  python -m fewshot train koch --on-cpu --data omniglot --output koch.safetensors --minutes 60
  python -m fewshot train clip --data photos --output clip-embedded"""

# Those of fewshot.training.objectives, whose import takes seconds, and three with a trainer each.
METHODS = (
    "siamese",
    "siamese-contrastive",
    "triplet",
    "prototype",
    "matching",
    "prototypical",
    "relation",
    "maml",
    "koch",
    "clip",
)


# A log has a line at least so often.
LOG_SECONDS = 30
ONLY_WITH = {"feature_map": ("prototype",), "first_order": ("maml",), "on_cpu": ("clip", "koch")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "method",
        choices=METHODS,
        help="which loss; clip trains the embedded CLIP model",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with images_background as a folder or zip; without it Omniglot is downloaded; "
        "for clip: folder with photos.zip and classes.csv",
    )
    parser.add_argument(
        "--output",
        type=output_path,
        required=True,
        metavar="FILE",
        help=".safetensors; for clip, a folder",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes",
        type=positive,
        help="plan as many steps as this machine does in that time",
    )
    length.add_argument("--steps", type=at_least(1), help="default: the recipe's")
    parser.add_argument("--seed", type=seed, help="default 0")
    parser.add_argument("--batch", type=at_least(8), help="images a step; default: the recipe's")
    parser.add_argument("--learning-rate", type=positive, help="peak; default: the recipe's")
    parser.add_argument(
        "--optimizer", choices=("adamw", "muon", "sgd"), help="default: the recipe's"
    )
    parser.add_argument(
        "--init", type=Path, metavar="FILE", help="checkpoint to start from; for clip, a folder"
    )
    parser.add_argument(
        "--feature-map",
        action="store_true",
        help="prototype: the shipped encoder, whose last feature map is the embedding",
    )
    parser.add_argument(
        "--first-order", action="store_true", help="maml: take the inner gradients as constants"
    )
    parser.add_argument(
        "--on-cpu",
        action="store_true",
        help="clip and koch: the recipe for an hour or two of two CPU cores",
    )
    begun = parser.add_mutually_exclusive_group()
    begun.add_argument(
        "--resume", action="store_true", help="go on where --output was left, to the end planned"
    )
    begun.add_argument(
        "--overwrite", action="store_true", help="replace what an earlier run left at --output"
    )


def run(arguments: argparse.Namespace) -> None:
    """Train, showing progress; Ctrl-C saves and stops."""
    recipe = _recipe(arguments).with_changes(
        steps=arguments.steps,
        seed=arguments.seed,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        optimizer=arguments.optimizer,
    )
    from fewshot.device import best_device
    from fewshot.training.checkpoint import progress_of
    from fewshot.training.session import Session

    stop: list[bool] = []
    for_gpu = arguments.method in ONLY_WITH["on_cpu"] and not arguments.on_cpu
    slow = for_gpu and best_device().type == "cpu"
    teller = _Teller("This recipe is for a GPU: --on-cpu takes another." if slow else "")
    try:
        with stopping(stop):
            session = Session(
                arguments.output,
                folder=arguments.data,
                minutes=arguments.minutes,
                resume=arguments.resume,
                overwrite=arguments.overwrite,
                initial=arguments.init,
                on_progress=teller.progress,
                on_part=teller.part,
                should_stop=lambda: bool(stop),
            )
            if arguments.resume and arguments.steps is None:
                recipe = recipe.with_changes(steps=progress_of(session.state)[1])
            ended = _trainer(arguments.method)(recipe, session)
    except OSError as error:
        path = error.filename or arguments.output
        raise InputError(f"{path} cannot be read or written ({error.strerror}).") from error
    teller.status.clear()
    figures = ", ".join(f"{k} {v:.4f}" for k, v in ended.validation.items() if k != "score")
    print(f"{arguments.output}: best at step {ended.best_step}, validation accuracy {figures}")
    if stop:
        print("Stopped; go on with --resume.")


def _trainer(method: str):
    """What to call with the recipe and the session."""
    if method == "clip":
        from fewshot.training.clip import train_clip

        return train_clip
    if method == "maml":
        from fewshot.training.maml import train_maml

        return train_maml
    if method == "koch":
        from fewshot.training.koch import train_koch

        return train_koch
    from fewshot.training.drawings import train_checkpoint

    return train_checkpoint


def _recipe(arguments: argparse.Namespace):
    for option, methods in ONLY_WITH.items():
        if getattr(arguments, option) and arguments.method not in methods:
            flag = "--" + option.replace("_", "-")
            raise InputError(f"{flag} goes with {' and '.join(methods)}, not {arguments.method}.")
    if arguments.method == "clip":
        from fewshot.training.clip_recipe import CLIP_RECIPE, CLIP_RECIPE_ON_CPU

        if arguments.data is None:
            raise InputError("clip needs --data, the folder with photos.zip and classes.csv.")
        return CLIP_RECIPE_ON_CPU if arguments.on_cpu else CLIP_RECIPE
    if arguments.method == "maml":
        from fewshot.training.maml_recipe import MAML_RECIPE

        return MAML_RECIPE.with_changes(first_order=arguments.first_order)
    if arguments.method == "koch":
        from fewshot.training.koch_recipe import KOCH_RECIPE, KOCH_RECIPE_ON_CPU

        return KOCH_RECIPE_ON_CPU if arguments.on_cpu else KOCH_RECIPE
    from fewshot.training.recipe import FEATURE_MAP_RECIPE, RECIPES, WARM_RECIPES

    if arguments.feature_map:
        return FEATURE_MAP_RECIPE
    return (WARM_RECIPES if arguments.init else RECIPES)[arguments.method]


class _Teller:
    """Says on the terminal how far the training is: a line that changes, or lines for a log.

    First of all a remark, if there is one.
    """

    def __init__(self, remark: str) -> None:
        self.status = Status()
        self._remark = remark
        self._parts: set[str] = set()
        self._logged = float("-inf")

    def part(self, what: str) -> None:
        """Something beside the steps has begun; a log has each once."""
        if self._remark:
            print(self._remark, file=sys.stderr)
            self._remark = ""
        self.status.line(f"{what} …")
        if not self.status.is_shown and what not in self._parts:
            self._parts.add(what)
            print(f"{what} …", file=sys.stderr, flush=True)

    def progress(self, progress) -> None:
        """Some steps were done."""
        figures = " ".join(f"{k} {v:.3f}" for k, v in progress.validation.items() if k != "score")
        last = progress.step == progress.steps
        line = (
            f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  "
            f"{progress.images_per_second:.0f} images/s  "
            f"{'' if last else duration(progress.seconds_left) + ' left  '}{figures}"
        ).rstrip()
        self.status.line(line)
        if last:
            self.status.keep()
        if self.status.is_shown:
            return
        if last or progress.step % 100 == 0 or time.monotonic() > self._logged + LOG_SECONDS:
            self._logged = time.monotonic()
            print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """As people say it: "50 s", "12 min", "3 h 5 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
