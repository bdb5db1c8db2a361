"""The names that the embedded CLIP knows, for *How it works*."""

from __future__ import annotations

from fewshot.known_names import known_names
from fewshot.ui.markup import escaped


def known_names_html() -> str:
    """The names behind a closed ``<details>``, or nothing where the card lists none.

    One line, so that Markdown takes it for one block of HTML.
    """
    known = known_names()
    if not known:
        return ""
    counts = " and ".join(f"{len(names):,} {kind}" for kind, names in known.items())
    lists = "".join(
        f"<p><b>{kind[0].upper()}{kind[1:]}:</b> {escaped(', '.join(names))}.</p>"
        for kind, names in known.items()
    )
    return f'<details class="known"><summary>All the names it knows: {counts}</summary>{lists}</details>'  # noqa: E501
