"""What names the embedded CLIP knows, as its card lists them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

# As fewshot.encoders.clip_models has it, whose import takes seconds and would delay the page.
CARD = Path(__file__).parents[1] / "assets" / "checkpoints" / "clip-embedded" / "card.json"


def known_names() -> dict[str, tuple[str, ...]]:
    """Kind of name -> the names, without the kinds of which the card has none."""
    card = json.loads(CARD.read_text("utf-8"))
    listed = {"nouns": card.get("nouns"), "letters, digits and symbols": card.get("symbols")}
    return {kind: tuple(names) for kind, names in listed.items() if names}


def known_among(names: Sequence[str], *kinds: str) -> list[str]:
    """Those of some names that it knows, of any kind or of these."""
    known = known_names()
    listed = {name.casefold() for kind in kinds or known for name in known.get(kind, ())}
    return [name for name in names if name.casefold() in listed]
