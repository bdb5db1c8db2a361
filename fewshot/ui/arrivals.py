"""Pictures on their way to the page: waited for by what takes classes away or replaces them.

Pictures that arrive, and what the server makes of a gallery, go to the slot that they were meant
for when they set out, whichever class that has by then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
# For an HTML component's js_on_load, once in the page.
COUNT_UPLOADS = (_HERE / "count_uploads.js").read_text("utf-8")
# A listener: those behind it to the same click run once all is there.
ALL_ARRIVED: dict[str, Any] = {
    "fn": None,
    "js": (_HERE / "all_arrived.js").read_text("utf-8"),
    "api_visibility": "private",
}
