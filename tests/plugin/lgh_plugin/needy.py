"""A backend whose framework nobody has."""

from __future__ import annotations

import a_framework_that_nobody_has  # type: ignore[import-not-found]

BACKEND = a_framework_that_nobody_has.Backend
