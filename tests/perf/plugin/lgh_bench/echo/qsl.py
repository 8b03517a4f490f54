"""The samples of `instant`."""

from __future__ import annotations

from lgh_bench.instant.qsl import QSL as QSL
