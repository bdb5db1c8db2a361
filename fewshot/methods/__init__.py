"""Methods by name. Adding one is a file beside this and a line below."""

from __future__ import annotations

from fewshot.methods.base import Method, Settings
from fewshot.methods.clip_adapter import ClipAdapter
from fewshot.methods.clip_zero_shot import ClipZeroShot
from fewshot.methods.finetune import FineTune
from fewshot.methods.fusion import Fusion
from fewshot.methods.nearest import Nearest
from fewshot.methods.prototype import Prototype
from fewshot.methods.siamese import Siamese
from fewshot.methods.triplet import Triplet

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        Siamese,
        Triplet,
        FineTune,
        ClipZeroShot,
        ClipAdapter,
        Prototype,
        Fusion,
        Nearest,
    )
}

__all__ = ["METHODS", "Method", "Settings"]
