"""``tune``: choose how far methods learn from a support set, on what was kept for it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from fewshot.cli.arguments import at_least, names, output_file
from fewshot.types import InputError

HELP = "Choose how to learn from a support set, on classes and pictures kept out of training."
EXAMPLES = """\
  python -m fewshot tune drawings --data omniglot
  python -m fewshot tune clip --data photos"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("family", choices=("drawings", "clip"), help="of encoders")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", required=True, help="Omniglot, or for clip the photos"
    )
    parser.add_argument(
        "--only",
        type=names,
        metavar="NAME,NAME",
        help="some of finetune, finetune-transductive, siamese, for drawings relation, for clip "
        "triplet and clip-adapter; the plans of the others stay as they are",
    )
    parser.add_argument(
        "--episodes",
        type=at_least(10),
        default=200,
        help="of each protocol, at least 10 (default 200)",
    )
    parser.add_argument(
        "--last-block",
        type=at_least(10),
        metavar="EPISODES",
        help="also for the image tower's last block: some ten seconds an episode",
    )
    parser.add_argument(
        "--output",
        type=output_file,
        metavar="FILE",
        help="default: assets/adaptation.json, where it is read",
    )


def run(arguments: argparse.Namespace) -> None:
    """Search, and write the plans found."""
    from fewshot import tuning
    from fewshot.methods.adaptation import FILE, LAST_BLOCK

    if arguments.last_block and arguments.family != "clip":
        raise InputError("--last-block is of CLIP's image tower: tune clip.")
    searches = _drawings if arguments.family == "drawings" else _clip
    found = {tuning.plan_name(search[0]): search for search in searches(arguments.data)}
    unknown = [name for name in arguments.only or () if name not in found]
    if unknown:
        raise InputError(f"There is no {unknown[0]} to tune: choose {', '.join(found)}.")

    tuning.plans_in(arguments.output or FILE)  # found out before the search, not after

    def keep(name: str, plans: dict[str, tuning.Found]) -> None:
        tuning.write_plans(arguments.output or FILE, arguments.family, {name: plans})

    # Each as it is found: all together take a quarter of an hour or more.
    for name in arguments.only or found:
        keep(name, tuning.search(*found[name], arguments.episodes, print))
    if arguments.last_block:
        _, encoder, pool, settings = next(_clip(arguments.data))
        keep(
            LAST_BLOCK,
            tuning.search_last_block(encoder, pool, settings, arguments.last_block, print),
        )


def _drawings(folder: Path):
    from fewshot import tuning
    from fewshot.data.omniglot import held_out_characters, load_omniglot
    from fewshot.encoders import get_encoder
    from fewshot.methods import Settings

    pool = held_out_characters(load_omniglot("background", folder)).pool()
    for what, encoder in (
        (tuning.FINETUNE_OF_DRAWINGS, "drawings-prototype"),
        (tuning.WITH_QUERIES_OF_DRAWINGS, "drawings-prototype"),
        (tuning.SIAMESE_OF_DRAWINGS, "drawings-siamese"),
        (tuning.RELATION_OF_DRAWINGS, "drawings-relation"),
    ):
        yield what, get_encoder(encoder), pool, Settings()


def _clip(folder: Path):
    from fewshot import tuning
    from fewshot.data.photos import load_photos, split_photos
    from fewshot.encoders import get_encoder
    from fewshot.encoders.clip_models import EMBEDDED
    from fewshot.methods import Settings
    from fewshot.prompts import templates
    from fewshot.training.clip_data import FEW_SHOT_PICTURES

    photos = load_photos(folder)
    encoder = get_encoder("clip", EMBEDDED)
    settings = Settings(templates=templates("photo"))
    held_out = split_photos(photos, "validation")
    few_shot = replace(held_out, images=held_out.images[:, :FEW_SHOT_PICTURES]).pool()
    for what in (tuning.FINETUNE, tuning.WITH_QUERIES, tuning.SIAMESE, tuning.TRIPLET):
        yield what, encoder, few_shot, settings
    # How like views are to other pictures is measured on classes nobody trained on: no more is to
    # be believed of a person's own.
    likeness = tuning.view_likeness(encoder, few_shot)
    plans = tuple(replace(plan, view_likeness=likeness) for plan in tuning.ADAPTER.candidates)
    adapter = replace(tuning.ADAPTER, candidates=plans)
    yield adapter, encoder, split_photos(photos, "unseen-validation").pool(), settings
