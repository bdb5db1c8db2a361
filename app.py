"""Serves the page: ``python app.py``; a Hugging Face Space runs it as it is."""

from __future__ import annotations

import os

from fewshot.cli.parser import OneLineParser
from fewshot.ui import server


def main() -> None:
    """Parse the arguments, build the page, serve it."""
    parser = OneLineParser(description=__doc__)
    parser.add_argument("--host", default=server.default_host(), help="default: %(default)s")
    parser.add_argument(
        "--port",
        type=server.port,
        default=os.environ.get("GRADIO_SERVER_PORT") or "7860",
        help="default: $GRADIO_SERVER_PORT, else 7860",
    )
    parser.add_argument("--share", action="store_true", help="ask gradio.live for an address")
    parser.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="CLIP model; default: ViT-B-32 if on this machine, else the embedded one",
    )
    chosen = parser.parse_args()
    try:
        server.run(chosen.host, chosen.port, share=chosen.share, model=chosen.model)
    except server.StartError as error:
        parser.error(str(error))
    server.end()


if __name__ == "__main__":
    main()
