"""Options of methods that several commands share, and the settings they come to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fewshot.cli.arguments import at_least, positive
from fewshot.types import InputError

if TYPE_CHECKING:
    from fewshot.methods import Settings


def add_settings(parser: argparse.ArgumentParser) -> None:
    """What the page has under Settings."""
    parser.add_argument(
        "--steps",
        type=at_least(0),
        metavar="N",
        help="of fine-tuning, 0 to 500; default: by the number of shots",
    )
    parser.add_argument(
        "--entropy-weight",
        type=float,
        metavar="X",
        help="of fine-tuning's regularisation, 0 to 10 (default 0.1)",
    )
    parser.add_argument(
        "--temperature",
        type=positive,
        help="factor on similarities in the softmax, of methods other than siamese, koch, relation "
        "and those that read names; default: each encoder's own",
    )
    parser.add_argument(
        "--transductive",
        action="store_true",
        help="let finetune look at all queries at once; labelled so in the JSON",
    )
    parser.add_argument(
        "--last-block",
        action="store_true",
        help="let finetune tune the last block of CLIP's image tower, too; it takes seconds",
    )
    parser.add_argument(
        "--prompts",
        metavar="NAME|TEXT",
        action="append",
        help="what the names are put into for CLIP: a set of templates (photo, drawing, …), or one "
        "of your own with {} for the name; may be given several times",
    )


# Options that some methods alone have a use for.
OF_METHODS = {
    "steps": ("finetune",),
    "entropy_weight": ("finetune",),
    "transductive": ("finetune",),
    "last_block": ("finetune",),
    "prompts": ("clip", "clip-adapter", "tip-adapter", "fusion"),
}


def settings_of(arguments: argparse.Namespace, methods: Sequence[str]) -> Settings:
    """The methods' settings.

    Args:
        arguments: of the command.
        methods: that are asked for.

    Raises:
        InputError: one is out of range, or does not go with the preset or with any of the methods.
    """
    from fewshot.methods import Settings
    from fewshot.presets import get_preset
    from fewshot.prompts import templates

    preset = get_preset(arguments.preset)
    if arguments.last_block and preset.encoder_of("finetune") != "clip":
        raise InputError("--last-block tunes CLIP's image tower: take it with --preset photos.")
    for name, users in OF_METHODS.items():
        given = getattr(arguments, name) not in (None, False)
        if given and not set(users) & set(methods):
            raise InputError(
                f"--{name.replace('_', '-')} is for {' or '.join(users)}, which is not asked for: "
                "add it to --methods, or leave the option out."
            )
    prompts: list[str] = []
    for asked in arguments.prompts or [preset.templates]:
        prompts += [asked] if "{}" in asked else templates(asked)
    given = {
        name: getattr(arguments, name)
        for name in ("steps", "entropy_weight", "temperature", "transductive", "last_block")
    }
    given = {name: value for name, value in given.items() if value is not None}
    return Settings(templates=tuple(dict.fromkeys(prompts)), **given)
