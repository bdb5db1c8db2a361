"""Methods by name. Adding one is a file beside this and a line below, in presets.py and in
ui/evaluate_request.py."""

from __future__ import annotations

from fewshot.methods.base import Method, Settings
from fewshot.methods.clip_adapter import ClipAdapter
from fewshot.methods.clip_zero_shot import ClipZeroShot
from fewshot.methods.finetune import FineTune
from fewshot.methods.fusion import Fusion
from fewshot.methods.koch import KochSiamese
from fewshot.methods.maml import Maml
from fewshot.methods.matching import Matching
from fewshot.methods.nearest import Nearest, Pixels
from fewshot.methods.prototype import Prototype
from fewshot.methods.prototypical import Prototypical
from fewshot.methods.relation import Relation
from fewshot.methods.siamese import Siamese
from fewshot.methods.siamese_contrastive import SiameseContrastive
from fewshot.methods.tca import TransferComponents
from fewshot.methods.tip_adapter import TipAdapter
from fewshot.methods.triplet import Triplet
from fewshot.types import InputError

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        Siamese,
        Triplet,
        FineTune,
        ClipZeroShot,
        ClipAdapter,
        TipAdapter,
        Prototype,
        Fusion,
        Nearest,
        Pixels,
        SiameseContrastive,
        Matching,
        Prototypical,
        Relation,
        Maml,
        KochSiamese,
        TransferComponents,
    )
}


def get_method(name: str) -> type[Method]:
    """A method by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in METHODS:
        raise InputError(f"There is no method “{name}”: choose {', '.join(METHODS)}.")
    return METHODS[name]


__all__ = ["METHODS", "Method", "Settings", "get_method"]
