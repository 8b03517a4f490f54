"""What MLCommons' power check of c4b3ad82 (power-dev, February 2025, so rounds v5.0 on) demands of a session."""

from __future__ import annotations

from collections.abc import Mapping

RULES = "power_measurement.adoc"
VERSIONS = ("1.11.1",)
MODELS: Mapping[str, int] = {
    "YokogawaWT210": 8,
    "YokogawaWT500": 35,
    "YokogawaWT500_multichannel": 48,
    "YokogawaWT310": 49,
    "YokogawaWT310E": 49,
    "YokogawaWT330": 52,
    "YokogawaWT330E": 52,
    "YokogawaWT330_multichannel": 77,
    "YokogawaWT210_DC": 508,
    "YokogawaWT310_DC": 549,
    "YokogawaWT330_DC": 586,
}
TWO_CHANNEL_NUMBERS = 77  # FIRST,COUNT: with less it measured one channel of several
TOLERANCE_S = 0.8  # between the clocks of client and server
LOWER = 5.0  # percent that testing may draw less than ranging
INTERVAL_S = 1.0  # the client starts every measurement with Go,1000: a sample in 1,000 ms
GAP_S = 1.5  # no two samples of all published sessions are more than 1.01 s apart
SHORTER = 0.5  # share by which testing may be shorter before it is remarked on

SESSION = ("power/client.json", "power/client.log", "power/ptd_logs.txt", "power/server.json", "power/server.log")
RUN = ("mlperf_log_detail.txt", "mlperf_log_summary.txt", "spl.txt")
PHASES = {"ranging": "ranging", "testing": "run_1"}  # the phase's name, and the folder of its logs
