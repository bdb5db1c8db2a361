"""``download``: fetch a CLIP model, which nothing else does unasked."""

from __future__ import annotations

import argparse

HELP = "Download a CLIP model to this machine's cache of the model hub."
EXAMPLES = """\
  python -m fewshot download
  python -m fewshot download ViT-B-16"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model",
        nargs="?",
        help="ViT-B-32 (the default), ViT-B-16, MobileCLIP2-S0, ViT-L-14 or hf-hub:OWNER/NAME",
    )


def run(arguments: argparse.Namespace) -> None:
    """Download and say where it lies."""
    from fewshot.encoders.clip_models import download_clip

    folder = download_clip(arguments.model)
    print(f"{folder.name} is at {folder.path}")
