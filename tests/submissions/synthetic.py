"""A whole datacenter tree with logs written by hand: token limits of Interactive, entropies where lower is better."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadgen_harness import rounds
from tests.submissions.mutations import Change, Mutation

HOME = Path("closed/Acme")
SYSTEM = "rack_8x"
RUN = "performance/run_1"
MS = 1_000_000
S = 1000 * MS
LLAMA, DLRM = "llama2-70b-99.9", "dlrm-v3"
SIZES = {LLAMA: 24576, DLRM: 349823}
LATENCIES = ("50.00", "90.00", "95.00", "97.00", "99.00", "99.90")
ACCURACY = {
    LLAMA: "{'rouge1': 44.5, 'rouge2': 22.1, 'rougeL': 28.7, 'tokens_per_sample': 294.4}",
    DLRM: "\n".join(
        f"metric/lifetime_{name}/rating: {value}"
        for name, value in (("ne", 0.8665), ("accuracy", 0.6965), ("gauc", 0.7866))
    ),
}
COUNTED = (
    "num_acc_log_entries = 349823\nnum_perf_log_entries = 4096\nnum_matched = 4096\nnum_unmatched = 0\n"
    "num_ne_mismatch = 0\ntolerance = 0.10%\n\nTEST PASS\n"
)
CONFIG = "Found Audit Config file (audit.config). Overriding TestSettings from audit.config file."


def tree(root: Path, source: Path) -> Path:
    """The tree below `root`; its system description is the golden tree's `source` with other counts."""
    described = json.loads(source.read_text())
    described |= {"system_type": "datacenter", "accelerators_per_node": "8", "system_name": "Rack"}
    _write(root / HOME / "systems" / f"{SYSTEM}.json", json.dumps(described))
    _write(root / HOME / "documentation/calibration.md", "none\n")
    for benchmark, scenarios in ((LLAMA, ("Offline", "Interactive")), (DLRM, ("Offline", "Server"))):
        _write(root / HOME / "src" / benchmark / "README.md", "code\n")
        for number, scenario in enumerate(scenarios):
            _result(
                place(root, benchmark, scenario), benchmark, scenario, hour=2 * number + (8 if benchmark == DLRM else 1)
            )
    return root


def place(root: Path, benchmark: str, scenario: str) -> Path:
    """The folder of one result."""
    return root / HOME / "results" / SYSTEM / benchmark / scenario


def _result(folder: Path, benchmark: str, scenario: str, hour: int) -> None:
    performance = timed(benchmark, scenario, hour)
    log(folder / RUN, performance)
    log(folder / "accuracy", settings(benchmark, scenario, "AccuracyOnly", hour + 1))
    text = f"{ACCURACY[benchmark]}\n\nhash={'0123456789abcdef' * 4}\n"
    _write(folder / "accuracy/accuracy.txt", text)
    _write(folder / "accuracy/mlperf_log_accuracy.json", "[\n{ \n\n...\n\n }\n]\n")
    weights = dict.fromkeys(("input_data_types", "weight_data_types", "weight_transformations"), "fp32")
    described = {**weights, "retraining": "No", "starting_weights_filename": "weights.bin"}
    _write(folder / "measurements.json", json.dumps(described))
    _write(folder / "README.md", "how to run\n")
    loadgen = "Server" if scenario == "Interactive" else scenario
    _write(folder / "user.conf", f"*.{loadgen}.target_qps = {performance['effective_target_qps']}\n")
    if benchmark == LLAMA:
        lines = ("First token check pass: True", "EOS check pass: True", "Sample length check pass: True")
        _write(folder / "TEST06/verify_accuracy.txt", "\n".join(lines) + "\n")
        entry = '{ "seq_id" : 0, "qsl_idx" : 0, "data" : "01000000", "token_data" : "01000000", "token_count" : 1 }'
        _write(folder / "TEST06/accuracy/mlperf_log_accuracy.json", f"[\n{entry}\n]\n")
    else:
        _write(folder / "TEST08/verify_accuracy.txt", COUNTED)


def settings(benchmark: str, scenario: str, mode: str, hour: int) -> dict[str, Any]:
    """What LoadGen logs of every run."""
    size, llama, seeds = SIZES[benchmark], benchmark == LLAMA, rounds.load("v6.1").seeds
    loadgen = "Server" if scenario == "Interactive" else scenario
    limit = 80 * MS if loadgen == "Server" and not llama else 0
    return {
        "loadgen_version": "6.0.17 @ d6147c7eb7",
        "sut_name": "PySUT",
        "qsl_name": "PyQSL",
        "qsl_reported_total_count": size,
        "requested_use_token_latencies": llama,
        "requested_server_ttft_latency": 450 * MS if llama else 0,
        "requested_server_tpot_latency": 40 * MS if llama else 0,
        "effective_scenario": loadgen,
        "effective_test_mode": mode,
        "effective_samples_per_query": 720_000 if loadgen == "Offline" else 1,
        "effective_target_qps": 1000,
        "effective_target_latency_ns": limit,
        "effective_target_latency_percentile": 0.99,
        "effective_min_duration_ms": 600_000,
        "effective_max_duration_ms": 0,
        "effective_min_query_count": 1 if loadgen == "Offline" else 100,
        "effective_max_query_count": 0,
        "effective_qsl_rng_seed": seeds.qsl,
        "effective_sample_index_rng_seed": seeds.sample_index,
        "effective_schedule_rng_seed": seeds.schedule,
        "effective_accuracy_log_sampling_target": 0,
        "effective_performance_issue_unique": False,
        "effective_performance_issue_same": False,
        "effective_performance_sample_count": size,
        "effective_accuracy_sample_count": size,
        "effective_sample_concatenate_permutation": llama,
        "power_begin": f"11-22-2026 {hour:02}:00:00.000",
        "power_end": f"11-22-2026 {hour:02}:12:00.000" if mode != "AccuracyOnly" else f"11-22-2026 {hour:02}:01:00.000",
        "num_errors": 0,
    }


def timed(benchmark: str, scenario: str, hour: int) -> dict[str, Any]:
    """A performance run of 720 s and 720,000 samples."""
    common = settings(benchmark, scenario, "PerformanceOnly", hour)
    own = 10_000 * hour  # ns, so that no two runs have the same latencies
    steps = range(120, 720, 100) if scenario == "Offline" else range(20, 80, 10)
    unit = S if scenario == "Offline" else MS
    latencies = [step * unit + own for step in steps]
    most = 720 * S if scenario == "Offline" else 79 * MS
    values: dict[str, Any] = {
        "result_validity": "VALID",
        "result_min_duration_met": True,
        "result_min_queries_met": True,
        "early_stopping_met": True,
        "result_query_count": 1 if scenario == "Offline" else 720_000,
        "result_min_latency_ns": unit,
        "result_max_latency_ns": most,
        **{f"result_{name}_percentile_latency_ns": value for name, value in zip(LATENCIES, latencies, strict=True)},
    }
    if scenario == "Offline":
        values |= {"result_samples_per_second": 1000.0}
    else:
        values |= {"result_scheduled_samples_per_sec": 1000.0, "result_completed_samples_per_sec": 999.95}
        values |= {"result_overlatency_query_count": 720_000 if benchmark == LLAMA else 0}
    if benchmark == LLAMA:
        values |= _tokens(scenario)
    return {**common, **values}


def _tokens(scenario: str) -> dict[str, Any]:
    if scenario == "Offline":
        return {"result_tokens_per_second": 294_000.0}
    return {
        "result_completed_tokens_per_second": 294_000.0,
        "result_first_token_99.00_percentile_latency_ns": 55 * MS,
        "result_time_per_output_token_99.00_percentile_ns": 30 * MS,
    }


def log(folder: Path, values: Mapping[str, Any]) -> None:
    """Both logs of a run."""
    notes = {"is_error": False, "is_warning": False, "file": "loadgen.cc", "line_no": 1, "pid": 1, "tid": 1}
    stamp = 721_000.0
    records = ({"key": key, "value": value, "time_ms": stamp, "metadata": notes} for key, value in values.items())
    _write(folder / "mlperf_log_detail.txt", "".join(f":::MLLOG {json.dumps(each)}\n" for each in records))
    summary = "Result is : VALID\n\nNo warnings encountered during test.\n\nNo errors encountered during test.\n"
    _write(folder / "mlperf_log_summary.txt", summary)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)


def logged(benchmark: str, scenario: str, **values: object) -> Change:
    """Values of a performance log replaced; keys spell "." as "__"."""

    def change(root: Path) -> None:
        folder = place(root, benchmark, scenario) / RUN
        lines = (folder / "mlperf_log_detail.txt").read_text().splitlines()
        records = {record["key"]: record["value"] for record in (json.loads(line[9:]) for line in lines)}
        log(folder, records | {key.replace("__", "."): value for key, value in values.items()})

    return change


def text(benchmark: str, scenario: str, old: str, new: str) -> Change:
    """accuracy.txt with other words."""

    def change(root: Path) -> None:
        path = place(root, benchmark, scenario) / "accuracy/accuracy.txt"
        assert old in ACCURACY[benchmark]
        path.write_text(path.read_text().replace(old, new))

    return change


def verdict(benchmark: str, scenario: str, old: str, new: str) -> Change:
    """The verify_accuracy.txt of the one test with other words."""
    name = "TEST06" if benchmark == LLAMA else "TEST08"

    def change(root: Path) -> None:
        path = place(root, benchmark, scenario) / name / "verify_accuracy.txt"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


FAULTS: dict[str, Mutation] = {
    "Interactive judged by Server's limits": Mutation(
        logged(LLAMA, "Interactive", requested_server_ttft_latency=2000 * MS, requested_server_tpot_latency=200 * MS),
        (("latency-setting", "requested_server_ttft_latency"), ("latency-setting", "requested_server_tpot_latency")),
    ),
    "Interactive slower per token than allowed": Mutation(
        logged(
            LLAMA, "Interactive",
            result_time_per_output_token_99__00_percentile_ns=150 * MS, requested_server_tpot_latency=200 * MS,
        ),
        (("latency-setting", "requested_server_tpot_latency"),
         ("latency", "result_time_per_output_token_99.00_percentile_ns")),
    ),
    "a worse entropy": Mutation(text(DLRM, "Server", "0.8665", "1.5"), (("accuracy", "DLRM_NE"),)),
    "too many tokens a sample": Mutation(
        text(LLAMA, "Offline", "294.4", "330.0"),
        (("accuracy", "TOKENS_PER_SAMPLE"), ("tokens-per-sample", "TOKENS_PER_SAMPLE")),
    ),
    "rouge as NumPy writes it": Mutation(text(LLAMA, "Offline", "44.5", "np.float64(44.5)"), (("accuracy", "ROUGE1"),)),
    "rouge in JSON": Mutation(text(LLAMA, "Offline", "'rouge1'", '"rouge1"'), (("accuracy", "ROUGE1"),)),
    "token latencies not measured": Mutation(
        logged(LLAMA, "Offline", requested_use_token_latencies=False),
        (("token-latencies", "requested_use_token_latencies"),),
    ),
    "samples not issued equally often": Mutation(
        logged(LLAMA, "Offline", effective_sample_concatenate_permutation=False),
        (("equal-issue", "effective_sample_concatenate_permutation"),),
    ),
    "entropies that differ counted beside TEST PASS": Mutation(
        verdict(DLRM, "Server", "num_ne_mismatch = 0", "num_ne_mismatch = 7"), (("verdict-text", "num_ne_mismatch"),)
    ),
    "entropies compared within 10 %": Mutation(
        verdict(DLRM, "Offline", "tolerance = 0.10%", "tolerance = 10.00%"), (("verdict-text", "tolerance"),)
    ),
    "fewer requests matched than 1": Mutation(
        verdict(DLRM, "Offline", "num_matched = 4096", "num_matched = 0"), (("verdict-text", "num_matched"),)
    ),
    "first token skipped in Interactive": Mutation(
        verdict(LLAMA, "Interactive", "First token check pass: True", "First token check pass: Skipped"),
        (("verdict-text", "First token check pass"),),
    ),
    "responses of a token test left out": Mutation(
        lambda root: (place(root, LLAMA, "Offline") / "TEST06/accuracy/mlperf_log_accuracy.json").rename(root / "a.md"),
        (("compliance", "log"), ("files", "path")),
    ),
    "end of sequence checked twice": Mutation(
        verdict(LLAMA, "Offline", "EOS check pass: True", "EOS check pass: False\nEOS check pass: True"),
        (("verdict-text", "EOS check pass"),),
    ),
    "Server slower than allowed": Mutation(
        logged(DLRM, "Server", effective_target_latency_ns=60000 * MS),
        (("latency-setting", "effective_target_latency_ns"),),
    ),
}  # fmt: skip
