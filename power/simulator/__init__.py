"""A PTDaemon simulator for tests and training (`python -m power.simulator`): it measures nothing, and says so."""

from __future__ import annotations

# In its identity and in every line that it writes; the audit refuses whatever carries it. Fit for a session's label.
MARK = "lgh-ptd-simulator"
