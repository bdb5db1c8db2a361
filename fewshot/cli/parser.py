"""The parser of every command, and of the page's own."""

from __future__ import annotations

import argparse


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse prints its usage as well."""

    def error(self, message: str) -> None:
        """See :class:`argparse.ArgumentParser`; leaves with 2."""
        self.exit(2, f"{self.prog}: {message}\n")
