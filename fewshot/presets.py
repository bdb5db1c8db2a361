"""Which encoder each method uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fewshot.prompts import templates
from fewshot.types import InputError

if TYPE_CHECKING:
    from fewshot.methods import Settings


@dataclass(frozen=True)
class Preset:
    """A choice of encoders.

    Attributes:
        name: how it is chosen.
        title: for people.
        encoders: method name -> encoder name.
        templates: which set of prompt templates CLIP is given by default.
        note: what a reader of the results should know, or empty.
    """

    name: str
    title: str
    encoders: dict[str, str]
    templates: str
    note: str = ""

    def encoder_of(self, method: str) -> str:
        """The encoder that a method uses.

        Raises:
            InputError: the preset has none for it.
        """
        if method not in self.encoders:
            raise InputError(
                f"The preset {self.name} has no encoder for {method}: choose "
                f"{', '.join(self.encoders)}."
            )
        return self.encoders[method]

    def settings(self, **changes) -> Settings:
        """The methods' defaults, with this preset's prompt templates, but for what is given."""
        from fewshot.methods import Settings

        return Settings(**{"templates": templates(self.templates), **changes})


PRESETS = {
    "drawings": Preset(
        "drawings",
        "Drawings",
        {
            "siamese": "drawings-siamese",
            "triplet": "drawings-triplet",
            "finetune": "drawings-prototype",
            "clip": "clip",
            "clip-adapter": "clip",
            "tip-adapter": "clip",
            "fusion": "clip",
            "prototype": "drawings-prototype",
            "nearest": "drawings-prototype",
            "siamese-contrastive": "drawings-contrastive",
            "matching": "drawings-matching",
            "prototypical": "drawings-prototypical",
            "relation": "drawings-relation",
            "maml": "drawings-maml",
            "koch": "koch",
            "tca": "drawings-prototype",
            "pixels": "pixels",
        },
        templates="drawing",
    ),
    "photos": Preset(
        "photos",
        "Photos",
        {
            "siamese": "clip",
            "triplet": "clip",
            "finetune": "clip",
            "clip": "clip",
            "clip-adapter": "clip",
            "tip-adapter": "clip",
            "fusion": "clip",
            "prototype": "clip",
            "nearest": "clip",
            "siamese-contrastive": "clip",
            "matching": "clip",
            "prototypical": "clip",
            "tca": "clip",
            "pixels": "pixels",
        },
        templates="photo",
        note="All methods look through CLIP’s image tower here, and what siamese and triplet know "
        "of comparing they learned from your pictures alone: their columns differ by how they "
        "compare pictures, not by what they see (unless fine-tuning is set to tune CLIP’s last "
        "block, too).",
    ),
}


def get_preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PRESETS:
        raise InputError(f"There is no preset “{name[:40]}”: choose {' or '.join(PRESETS)}.")
    return PRESETS[name]
