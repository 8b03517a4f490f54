"""Faults of the golden tree beside single logs: runs that do not belong together, files, texts, the whole."""

from __future__ import annotations

from pathlib import Path

from tests.submissions.mutations import (
    DETAIL,
    HOME,
    MULTI,
    OFFLINE,
    OPEN,
    OPEN_HOME,
    RESULT,
    RUN,
    SINGLE,
    SUMMARY,
    SYSTEM,
    Mutation,
    accuracy_text,
    copy,
    detail,
    edit,
    hashed,
    json_key,
    one,
    put,
    remove,
    sha256,
    swap,
    together,
    write,
)

OTHERS_HASH = "b18db1e7ab7347ab6ac751180d1aebf9f198d568732df2e480648c4d6f6d0e90"  # of MultiStream's accuracy log
POWER = ("client.json", "client.log", "ptd_logs.txt", "server.json", "server.log")

RUNS: dict[str, Mutation] = {
    "another LoadGen for the accuracy run": Mutation(
        detail(MULTI / "accuracy", loadgen_version="5.1.0 @ a61df8bff1"),
        (*one("loadgen-version", "loadgen_version"), *one("same-loadgen", "loadgen_version")),
    ),
    "LoadGen with other sources": Mutation(
        edit(OPEN / "accuracy" / DETAIL, "fde4e173d3ec8461dd439ff0d8e605b52c4becf5", "00" * 20),
        (*one("loadgen-sources", "loadgen_file_sha1"), *one("same-loadgen", "loadgen_file_sha1")),
    ),
    "LoadGen with uncommitted changes": Mutation(
        detail(OPEN / RUN, loadgen_git_status_message=" M loadgen/results.cc"),
        one("loadgen-modified", "loadgen_git_status_message"),
    ),
    "another system under test": Mutation(
        detail(OPEN / "accuracy", sut_name="TRT-LLM"), one("same-system", "sut_name")
    ),
    "a smaller data set": Mutation(
        detail(OPEN / "accuracy", qsl_reported_total_count=5000),
        (*one("same-data", "qsl_reported_total_count"), *one("responses", "qsl_idx")),
    ),
    "the performance log as TEST04's": Mutation(
        copy(OFFLINE / RUN, OFFLINE / "TEST04" / RUN),
        (
            *one("audit-config", "audit.config"),
            *one("audit-settings", "effective_performance_issue_same"),
            *one("audit-settings", "effective_performance_issue_same_index"),
            *one("duplicate", "log"),
        ),
    ),
    "one accuracy run for two scenarios": Mutation(
        copy(SINGLE / "accuracy", MULTI / "accuracy"),
        (*one("scenario", "effective_scenario"), *one("duplicate", "log")),
    ),
    "another system's results": Mutation(
        together(
            copy(HOME / "results/toybox_1x_cpu", HOME / "results/gamebox"), copy(SYSTEM, HOME / "systems/gamebox.json")
        ),
        (*(("duplicate", "log") for _ in range(3)), *one("system", "system_name")),
    ),
    "scenarios swapped": Mutation(
        swap(SINGLE / "performance", MULTI / "performance"),
        (
            *one("scenario", "effective_scenario"),
            *one("percentile", "effective_target_latency_percentile"),
            *(("compliance", "reference score"),) * 4,
        ),
    ),
    "Offline as SingleStream": Mutation(copy(OFFLINE, SINGLE), (("scenario", "effective_scenario"),) * 4),
    "user.conf of another run": Mutation(
        edit(OFFLINE / "user.conf", "target_qps = 45", "target_qps = 90"), one("user-conf", "target_qps")
    ),
}
FILES: dict[str, Mutation] = {
    "no detail log": Mutation(remove(SINGLE / RUN / DETAIL), one("structure", "file")),
    "no detail log of the accuracy run": Mutation(remove(SINGLE / "accuracy" / DETAIL), one("structure", "file")),
    "no detail log of a test": Mutation(remove(SINGLE / "TEST04" / RUN / DETAIL), one("compliance", "file")),
    "no summary": Mutation(remove(SINGLE / RUN / SUMMARY), one("structure", "file")),
    "empty detail log": Mutation(write(SINGLE / RUN / DETAIL, ""), one("structure", "file")),
    "detail log cut off": Mutation(
        lambda tree: put(tree / OPEN / RUN / DETAIL, (tree / OPEN / RUN / DETAIL).read_bytes()[:-9000]),
        (
            *one("readable", "damaged"),
            *one("validity", "result_validity"),
            *one("early-stopping", "early_stopping_met"),
            *one("duration", "power_end"),
        ),
    ),
    "detail log in UTF-16": Mutation(
        lambda tree: put(tree / OPEN / RUN / DETAIL, (tree / OPEN / RUN / DETAIL).read_text().encode("utf-16")),
        (("readable", "damaged"),) * 21,
    ),
    "a line that is no JSON": Mutation(
        lambda tree: put(tree / OPEN / RUN / DETAIL, (tree / OPEN / RUN / DETAIL).read_text() + ":::MLLOG {\n"),
        one("readable", "damaged"),
    ),
    "no accuracy text": Mutation(remove(SINGLE / "accuracy/accuracy.txt"), one("structure", "file")),
    "no accuracy text in the open division": Mutation(remove(OPEN / "accuracy/accuracy.txt"), one("structure", "file")),
    "no accuracy log": Mutation(remove(SINGLE / "accuracy/mlperf_log_accuracy.json"), one("structure", "file")),
    "whole accuracy log": Mutation(
        write(SINGLE / "accuracy/mlperf_log_accuracy.json", "[" + " " * 10_240 + "]"), one("truncation", "size")
    ),
    "empty user.conf": Mutation(write(SINGLE / "user.conf", ""), one("structure", "file")),
    "no README": Mutation(remove(MULTI / "README.md"), one("structure", "file")),
    "no measurements.json": Mutation(remove(SINGLE / "measurements.json"), one("measurements", "file")),
    "measurements.json damaged": Mutation(write(SINGLE / "measurements.json", "{"), one("measurements", "file")),
    "measurement empty": Mutation(
        json_key(SINGLE / "measurements.json", "retraining", False), one("measurements", "retraining")
    ),
    "retrained weights": Mutation(
        json_key(SINGLE / "measurements.json", "retraining", "Yes"), one("measurements", "retraining")
    ),
    "fine-tuned weights": Mutation(
        json_key(MULTI / "measurements.json", "retraining", "fine-tuned"), one("measurements", "retraining")
    ),
    "measurement missing": Mutation(
        json_key(SINGLE / "measurements.json", "weight_data_types"), one("measurements", "weight_data_types")
    ),
    "no source": Mutation(remove(HOME / "src"), one("structure", "src")),
    "no calibration": Mutation(remove(HOME / "documentation"), one("structure", "calibration.md")),
    "stray folder": Mutation(write(RESULT / "notes/a.txt", "x"), one("structure", "scenario")),
    "left-over cache beside the results": Mutation(
        write(HOME / "results/toybox_1x_cpu/__pycache__/a.pyc", "x"),
        (*one("files", "path"), *one("structure", "benchmark")),
    ),
    "system without results": Mutation(copy(SYSTEM, HOME / "systems/ghost.json"), one("structure", "system")),
    "hidden file": Mutation(write(SINGLE / ".note", "x"), one("files", "path")),
    "blank in a name": Mutation(write(SINGLE / "a note.txt", "x"), one("files", "path")),
    "empty folder": Mutation(lambda tree: (tree / SINGLE / RUN / "images").mkdir(), one("files", "path")),
    "dead link": Mutation(lambda tree: (tree / SINGLE / "link").symlink_to("nowhere"), one("files", "path")),
    "stray file at the root": Mutation(write(Path("run.sh"), "x"), one("files", "path")),
    "left-over in a test": Mutation(write(SINGLE / "TEST01" / RUN / "ptd_out.txt", "x"), one("files", "path")),
    "notes in a run": Mutation(write(SINGLE / RUN / "notes.txt", "x"), one("stray", "file")),
    "notes in the accuracy run": Mutation(write(MULTI / "accuracy/notes.txt", "x"), one("stray", "file")),
    "notes in the run of a test": Mutation(write(SINGLE / "TEST04" / RUN / "notes.txt", "x"), one("stray", "file")),
    "notes beside the submitters": Mutation(write(Path("closed/x.txt"), "x"), one("stray", "file")),
    "notes between the scenarios": Mutation(write(RESULT / "notes.txt", "x"), one("stray", "file")),
    "notes in a test": Mutation(write(MULTI / "TEST01/notes.txt", "x"), one("stray", "file")),
    "archive beside a result": Mutation(write(SINGLE / "logs.zip", "PK"), one("stray", "file")),
    "a second run": Mutation(copy(SINGLE / RUN, SINGLE / "performance/run_2"), one("stray", "run")),
    "a run beside a result": Mutation(copy(MULTI / RUN, MULTI / "first_try"), one("stray", "run")),
    "another folder beside a result": Mutation(write(OFFLINE / "plots/a.svg", "x"), one("stray", "folder")),
    "power logs incomplete": Mutation(
        together(
            *(write(SINGLE / "performance" / name, "x") for name in (*(f"power/{each}" for each in POWER[:4]),)),
            *(write(SINGLE / "performance" / name, "x") for name in (f"{RUN[12:]}/spl.txt", "ranging/spl.txt")),
        ),
        (
            *(("power", "file"),) * 3,
            *(("power", name) for name in ("analyzer_table", "power_settings")),
            *(("power-record", "file"),) * 2,
            *one("power-window", "Time"),
        ),
    ),
}
TEXTS: dict[str, Mutation] = {
    "accuracy below target": Mutation(
        accuracy_text(SINGLE, "accuracy=75.000%, good=37500, total=50000"), one("accuracy", "acc")
    ),
    "accuracy as NumPy writes it": Mutation(
        accuracy_text(SINGLE, "accuracy=np.float64(76.502)"), one("accuracy", "acc")
    ),
    "accuracy under another name": Mutation(accuracy_text(SINGLE, "top1=76.502%"), one("accuracy", "acc")),
    "accuracy text empty": Mutation(
        write(MULTI / "accuracy/accuracy.txt", ""), (*one("truncation", "hash"), *one("accuracy", "acc"))
    ),
    "no hash": Mutation(edit(SINGLE / "accuracy/accuracy.txt", "hash=", "sum="), one("truncation", "hash")),
    "hash=0": Mutation(hashed(SINGLE / "accuracy", lambda _: "0"), one("truncation", "hash")),
    "hash of the truncated log": Mutation(hashed(OFFLINE / "accuracy", sha256), one("truncation", "hash")),
    "hash of nothing": Mutation(hashed(MULTI / "accuracy", lambda _: sha256(b"")), one("truncation", "hash")),
    "hash of a test's truncated log": Mutation(hashed(OFFLINE / "TEST01/accuracy", sha256), one("truncation", "hash")),
    "hash of another scenario's log": Mutation(
        hashed(SINGLE / "accuracy", lambda _: OTHERS_HASH), one("truncation", "hash")
    ),
    "hash of a short log that it is not": Mutation(
        write(SINGLE / "accuracy/mlperf_log_accuracy.json", '[\n{ "seq_id" : 0, "qsl_idx" : 1, "data" : "00" }\n]\n'),
        (*one("responses", "entries"), *one("truncation", "hash")),
    ),
    "test missing": Mutation(remove(SINGLE / "TEST04"), one("compliance", "TEST04")),
    "test failed": Mutation(
        edit(SINGLE / "TEST01/verify_accuracy.txt", "TEST PASS", "TEST FAIL"), one("compliance", "verdict")
    ),
    "test slower than allowed": Mutation(
        edit(MULTI / "TEST04/verify_performance.txt", "TEST PASS", "TEST FAIL"), one("compliance", "verdict")
    ),
    "verdict missing": Mutation(remove(SINGLE / "TEST04/verify_performance.txt"), one("compliance", "file")),
    "accuracy that its counts do not give": Mutation(
        accuracy_text(SINGLE, "accuracy=77.000%, good=38251, total=50000"), one("accuracy-text", "accuracy")
    ),
    "more right answers than answers": Mutation(
        accuracy_text(MULTI, "accuracy=76.502%, good=50001, total=50000"), one("accuracy-text", "good")
    ),
    "accuracy of a part of the samples": Mutation(
        accuracy_text(OPEN, "accuracy=80.000%, good=8000, total=10000"), one("accuracy-text", "total")
    ),
    "accuracy of a test on more samples than there are": Mutation(
        edit(OFFLINE / "TEST01/accuracy/accuracy.txt", "good=778, total=1015", "good=76650, total=100000"),
        one("accuracy-text", "total"),
    ),
    "differences counted beside TEST PASS": Mutation(
        edit(
            SINGLE / "TEST01/verify_accuracy.txt", "num_perf_log_data_mismatch = 0", "num_perf_log_data_mismatch = 12"
        ),
        one("verdict-text", "num_perf_log_data_mismatch"),
    ),
    "unknown samples counted beside TEST PASS": Mutation(
        edit(SINGLE / "TEST01/verify_accuracy.txt", "num_missing_qsl_idxs = 0", "num_missing_qsl_idxs = 3"),
        (*one("verdict-text", "num_missing_qsl_idxs"), *one("verdict-text", "num_perf_log_qsl_idx_match")),
    ),
    "verified against a part of the accuracy log": Mutation(
        edit(MULTI / "TEST01/verify_accuracy.txt", "num_acc_log_entries = 50000", "num_acc_log_entries = 5000"),
        one("verdict-text", "num_acc_log_entries"),
    ),
    "more samples verified than the test issued": Mutation(
        edit(OFFLINE / "TEST01/verify_accuracy.txt", "= 4192", "= 4192000"),
        one("verdict-text", "num_perf_log_entries"),
    ),
    "nothing counted above the verdict": Mutation(
        write(MULTI / "TEST04/verify_performance.txt", "TEST PASS\n"), one("verdict-text", "counts")
    ),
    "both verdicts": Mutation(
        edit(OFFLINE / "TEST04/verify_performance.txt", "TEST PASS", "TEST FAIL: Test score invalid\nTEST PASS"),
        one("verdict-text", "verdict"),
    ),
    "a test much faster than the reference": Mutation(
        edit(OFFLINE / "TEST04/verify_performance.txt", "test score = 48.0756", "test score = 60.5"),
        (*one("compliance", "test score"), *one("verdict-text", "test score")),
    ),
    "verdict on another run": Mutation(
        edit(OFFLINE / "TEST01/verify_performance.txt", "Test score = 48.0763", "Test score = 48.9"),
        one("compliance", "test score"),
    ),
}
TREE: dict[str, Mutation] = {
    "scenario missing": Mutation(remove(MULTI), one("suite", "scenario")),
    "scenario too many": Mutation(
        copy(OFFLINE, RESULT / "Server"),
        (*one("suite", "Server"), *(("scenario", "effective_scenario"),) * 4),
    ),
    "no description of the system": Mutation(
        remove(SYSTEM), (*one("system", "file"), *one("suite", "system_type"), *one("files", "path"))
    ),
    "description damaged": Mutation(write(SYSTEM, "{"), (*one("system", "file"), *one("suite", "system_type"))),
    "key missing": Mutation(json_key(SYSTEM, "cooling"), one("system", "cooling")),
    "key empty": Mutation(json_key(SYSTEM, "framework", ""), one("system", "framework")),
    "count of 0": Mutation(json_key(SYSTEM, "accelerators_per_node", 0), one("system", "accelerators_per_node")),
    "count in words": Mutation(json_key(SYSTEM, "number_of_nodes", "N/A"), one("system", "number_of_nodes")),
    "no node": Mutation(json_key(SYSTEM, "number_of_nodes", "0"), one("system", "number_of_nodes")),
    "fewer accelerators than none": Mutation(
        json_key(SYSTEM, "accelerators_per_node", "-8"), one("system", "accelerators_per_node")
    ),
    "fewer nodes than none": Mutation(json_key(SYSTEM, "number_of_nodes", -1), one("system", "number_of_nodes")),
    "processors in words": Mutation(
        json_key(SYSTEM, "host_processors_per_node", "two"), one("system", "host_processors_per_node")
    ),
    "no cores": Mutation(
        json_key(SYSTEM, "host_processor_core_count", "0"), one("system", "host_processor_core_count")
    ),
    "cores that are no number": Mutation(
        json_key(SYSTEM, "host_processor_core_count", "nan"), one("system", "host_processor_core_count")
    ),
    "status misspelt": Mutation(json_key(SYSTEM, "status", "avaliable"), one("system", "status")),
    "system type misspelt": Mutation(
        json_key(SYSTEM, "system_type", "egde"), (*one("system", "system_type"), *one("suite", "system_type"))
    ),
    "system of another suite": Mutation(json_key(SYSTEM, "system_type", "datacenter"), one("suite", "system_type")),
    "network flag": Mutation(json_key(SYSTEM, "is_network", "false"), one("system", "is_network")),
    "another submitter": Mutation(json_key(SYSTEM, "submitter", "Zenith"), one("system", "submitter")),
    "another division": Mutation(json_key(SYSTEM, "division", "open"), one("system", "division")),
    "name with another count": Mutation(
        json_key(SYSTEM, "accelerator_model_name", "8xToyChip"),
        tuple(("system-name", "accelerator_model_name") for _ in range(3)),
    ),
    "unknown benchmark": Mutation(
        lambda tree: (tree / RESULT).rename(tree / RESULT.with_name("resnet-toy")), one("structure", "benchmark")
    ),
    "benchmark of another round": Mutation(
        lambda tree: (tree / RESULT).rename(tree / RESULT.with_name("retinanet")), one("structure", "benchmark")
    ),
    "open model mapped to no benchmark": Mutation(
        write(OPEN_HOME / "model_mapping.json", '{"my-toy-net": "toys"}'), one("structure", "benchmark")
    ),
    "open model mapped to an alias": Mutation(
        write(OPEN_HOME / "model_mapping.json", '{"my-toy-net": "resnet50"}'), one("structure", "model_mapping")
    ),
    "open model not mapped": Mutation(remove(OPEN_HOME / "model_mapping.json"), one("structure", "benchmark")),
}
