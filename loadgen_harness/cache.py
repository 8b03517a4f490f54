"""Where the suite keeps what it fetched or made, for all runs of this user."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder that LGH_CACHE names, else one of the user's own."""
    return Path(os.environ.get("LGH_CACHE") or Path.home() / ".cache" / "loadgen-harness" / "assets")
