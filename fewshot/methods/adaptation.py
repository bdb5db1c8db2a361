"""How far each method may learn from a support set, by encoder family and shots: data, chosen on
validation classes by ``python -m fewshot tune``, but for ``finetune`` on drawings, whose steps and
rate are plain defaults, and ``clip-adapter``, chosen on new pictures of nouns trained on."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot.methods.batch import SupportBatch
from fewshot.types import InputError, Support, SupportSet

# The plan's name for tuning the last block of CLIP's image tower.
LAST_BLOCK = "last-block"
# Augmented views of each picture: the only variation that one picture per class offers.
VIEWS = 4
FILE = Path(__file__).parents[2] / "assets" / "adaptation.json"

_TRIED: ContextVar[tuple[str, Plan] | None] = ContextVar("tried plan", default=None)


@dataclass(frozen=True)
class Plan:
    """Gradient descent on a support set.

    Attributes:
        steps: how many; of fine-tuning where a person asks for no number of their own. 0 where a
            method learns nothing and its answers have a factor all the same.
        learning_rate: of each.
        entropy_factor: on the settings' entropy weight.
        temperature_factor: on the temperature while learning with the queries: where the softmax
            is sharp, queries that it is already sure of have no gradient. For siamese and
            relation, on the logits of their softmax over classes.
        answer_factor: of fine-tuning, on the logits of the answers alone: a softmax mild enough to
            learn with queries says less than is known.
        prior: weight of the classes that the encoder was trained on, beside a prototype's own
            pictures: see :func:`fewshot.methods.prior.drawn_to_known`.
        view_likeness: how like another picture of its class a view of a picture is, where it
            stands in for one: 1 says as like as the picture itself, 0 no more than any other's.
    """

    steps: int = 0
    learning_rate: float = 0.0
    entropy_factor: float = 1.0
    temperature_factor: float = 1.0
    answer_factor: float = 1.0
    prior: float = 0.0
    view_likeness: float = 1.0


@functools.cache
def plans() -> dict[str, dict[str, dict[str, Plan]]]:
    """Family -> method -> shots -> plan; none where there is no file of them."""
    families = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    return {
        family: {
            method: {shots: Plan(**values) for shots, values in by_shots.items()}
            for method, by_shots in methods.items()
        }
        for family, methods in families.items()
    }


@contextlib.contextmanager
def trying(method: str, plan: Plan) -> Iterator[None]:
    """A method learns by this plan, whatever the data say."""
    token = _TRIED.set((method, plan))
    try:
        yield
    finally:
        _TRIED.reset(token)


def learns(family: str, method: str) -> bool:
    """Whether a method learns from the support set over encoders of a family."""
    return any(plan.steps for plan in _by_shots(family, method).values())


def sharpness(family: str, method: str, support: Support | SupportBatch) -> float:
    """Factor on the logits of a method's softmax over classes; 1 where none was chosen.

    A head that learned to tell pairs apart, half of them the same, knows nothing of how likely one
    class is among several.

    Args:
        family, method, support: as for :func:`plan_for`.
    """
    if not _by_shots(family, method):
        return 1.0
    return plan_for(family, method, support).temperature_factor


def plan_for(family: str, method: str, support: Support | SupportBatch | SupportSet) -> Plan:
    """The plan for the tuned number of shots nearest to a support set's mean, by ratio.

    Args:
        family: of the encoder.
        method: its name.
        support: what is to be learned from.

    Raises:
        InputError: there is none.
    """
    by_shots = _by_shots(family, method)
    if not by_shots:
        raise InputError(
            f"How far {method} may learn is not known for the family of encoders {family}: copy "
            f"assets/adaptation.json anew, or make it with “python -m fewshot tune {family}”."
        )
    shots = max(1.0, len(support.labels) / support.n_way)
    nearest = min(by_shots, key=lambda key: abs(np.log(int(key) / shots)))
    return by_shots[nearest]


def _by_shots(family: str, method: str) -> dict[str, Plan]:
    """A method's plans over encoders of a family; one that is tried stands for them all."""
    tried = _TRIED.get()
    if tried is not None and tried[0] == method:
        return {"1": tried[1]}
    return plans().get(family, {}).get(method, {})
