"""``evaluate``: accuracy over episodes, with its 95% interval."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.arguments import Status, add_preset, at_least, names, write_json
from fewshot.types import InputError

if TYPE_CHECKING:
    from fewshot.evaluation import MethodScore

HELP = "Measure methods over few-shot episodes."
EXAMPLES = """\
  python -m fewshot evaluate --dataset omniglot --data omniglot --ways 20 --shots 1
  python -m fewshot evaluate --dataset omniglot --data omniglot --within-alphabet --json out.json
  python -m fewshot evaluate --dataset lake --data all_runs
  python -m fewshot evaluate --dataset my_photos.zip --preset photos --ways 5 --shots 5"""
DEFAULT_METHODS = ["pixels", "siamese", "triplet", "prototype", "finetune"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--dataset",
        default="omniglot",
        metavar="NAME|PATH",
        help="omniglot, lake, photos, or any folder or zip of class folders",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where it lies")
    parser.add_argument(
        "--split",
        choices=("evaluation", "background", "validation", "latin", "unseen", "unseen-validation"),
        default="evaluation",
        help="of Omniglot: evaluation, background, validation (the background alphabets kept out "
        "of training), latin (the background set's a to z, by name); of photos: evaluation and "
        "validation (classes kept out of training), unseen and unseen-validation (pictures kept "
        "out of training, of classes that were in it)",
    )
    parser.add_argument("--ways", type=_ways, default=20, help="classes, or all")
    parser.add_argument("--shots", type=at_least(0), default=1, help="0: names alone, for clip")
    parser.add_argument("--queries", type=at_least(1), default=1, help="per class")
    parser.add_argument("--episodes", type=at_least(1), default=1000)
    parser.add_argument("--within-alphabet", action="store_true")
    parser.add_argument("--methods", type=names, default=DEFAULT_METHODS, metavar="NAME,NAME")
    parser.add_argument(
        "--against", metavar="NAME", help="method to compare the others with, episode by episode"
    )
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument("--steps", type=at_least(0), help="fine-tuning steps")
    parser.add_argument("--entropy-weight", type=float, help="of fine-tuning")
    parser.add_argument(
        "--transductive",
        action="store_true",
        help="let finetune look at all queries of an episode at once; labelled so in the JSON",
    )
    parser.add_argument(
        "--last-block",
        action="store_true",
        help="let finetune tune the last block of CLIP's image tower, too; seconds an episode",
    )
    parser.add_argument(
        "--distort",
        metavar="NAME",
        help="drawings changed: inverted, coloured, thick, off-centre or paper (photographed)",
    )
    parser.add_argument(
        "--queries-only", action="store_true", help="distort the queries, not the supports"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    add_preset(parser)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate and print a table; write JSON where asked."""
    from fewshot.data.distortions import distort
    from fewshot.evaluation import evaluate
    from fewshot.methods import METHODS, Settings
    from fewshot.presets import get_preset
    from fewshot.prompts import templates

    for name in arguments.methods:
        if name not in METHODS:
            raise InputError(f"There is no method “{name}”: choose {', '.join(METHODS)}.")
    pool, episodes, protocol = _episodes(arguments)
    if arguments.distort:
        pool, episodes = distort(
            pool, episodes, arguments.distort, arguments.seed, queries_only=arguments.queries_only
        )
        protocol |= {"distortion": arguments.distort, "queries_only": arguments.queries_only}
    settings = Settings(templates=templates(get_preset(arguments.preset).templates))
    chosen = {"steps": arguments.steps, "entropy_weight": arguments.entropy_weight}
    chosen |= {"transductive": arguments.transductive, "last_block": arguments.last_block}
    settings = replace(settings, **{k: v for k, v in chosen.items() if v is not None})
    status = Status()
    result = evaluate(
        pool,
        episodes,
        arguments.methods,
        arguments.preset,
        settings,
        model=arguments.model,
        against=arguments.against,
        on_progress=status,
    )
    status.clear()
    for score in result.scores:
        print(_line(score, arguments.against))
    if arguments.json:
        protocol |= {"preset": arguments.preset, "model": arguments.model}
        protocol |= {"finetune_steps": settings.steps, "entropy_weight": settings.entropy_weight}
        protocol |= {"transductive": settings.transductive, "last_block": settings.last_block}
        protocol |= {"against": arguments.against}
        protocol["seed"] = arguments.seed
        write_json(result.as_json(protocol), arguments.json)


def _line(score: MethodScore, against: str | None) -> str:
    line = (
        f"{score.method:<12} {100 * score.accuracy:6.2f} ± {100 * score.ci95:.2f} %   "
        f"{score.episodes} episodes, {score.queries} queries, "
        f"{score.episodes_per_second:.0f} episodes/s, top-5 {100 * score.top5:.2f} %"
    )
    if score.difference is None:
        return line
    mean, half = score.difference
    return f"{line}, {100 * mean:+.2f} ± {100 * half:.2f} against {against}"


def _ways(text: str) -> int | None:
    return None if text == "all" else at_least(2)(text)


def _episodes(arguments: argparse.Namespace):
    """Pool, episodes, and the protocol as the JSON names it."""
    from fewshot.episodes import Protocol, draw_episodes, names_episode

    pool, fixed = _load(arguments)
    protocol = {"dataset": Path(arguments.dataset).name}
    if fixed is not None:
        return pool, fixed, protocol | {"ways": len(fixed[0].classes), "shots": 1}
    if arguments.dataset in ("omniglot", "photos"):
        protocol["split"] = arguments.split
    ways = arguments.ways or len(pool.classes)
    drawn = {"ways": ways, "shots": arguments.shots}
    if arguments.shots == 0:
        if ways != len(pool.classes):
            raise InputError("Names alone (--shots 0) are evaluated over all classes: --ways all.")
        return pool, [names_episode(pool.labels)], protocol | drawn
    drawn |= {"queries": arguments.queries, "within_group": arguments.within_alphabet}
    episodes = list(
        draw_episodes(
            pool.labels, Protocol(**drawn), arguments.episodes, arguments.seed, pool.groups
        )
    )
    return pool, episodes, protocol | drawn | {"episodes": arguments.episodes}


def _load(arguments: argparse.Namespace):
    """The pool, and the episodes where the data set fixes them."""
    from fewshot.data.class_tree import load_class_tree
    from fewshot.data.lake import load_lake
    from fewshot.data.omniglot import load_omniglot

    if arguments.dataset == "lake":
        if arguments.data is None:
            raise InputError("--dataset lake needs --data, the folder that holds run01 to run20.")
        return load_lake(arguments.data)
    if arguments.dataset == "photos":
        from fewshot.data.photos import load_photos, split_photos

        if arguments.data is None:
            raise InputError("--dataset photos needs --data, with photos.zip and classes.csv.")
        return split_photos(load_photos(arguments.data), arguments.split).pool(), None
    if arguments.dataset != "omniglot":
        pool, skipped = load_class_tree(Path(arguments.dataset))
        for sentence in skipped:
            print(sentence)
        return pool, None
    if arguments.split in ("evaluation", "background"):
        return load_omniglot(arguments.split, arguments.data).pool(), None
    background = load_omniglot("background", arguments.data)
    if arguments.split == "latin":
        return background.latin().pool(), None
    if arguments.split != "validation":
        raise InputError(f"Omniglot has no split “{arguments.split}”; photos have.")
    from fewshot.training.validation import held_out_characters

    return held_out_characters(background).pool(), None
