"""Gathers everything that stands behind one result of a tree, for the checks that look across files."""

from __future__ import annotations

from audit.evidence import Evidence
from loadgen_harness.run import Run
from submissions.subject import Subject


def evidence(subject: Subject) -> Evidence:
    """The runs, texts and system description of a result; what is missing or leads out of the tree is left out."""
    place = subject.place
    tests = {test.name: test for test in place.tests()}
    audited = {name: subject.run(test.performance) for name, test in tests.items()}
    kept = {name: test.accuracy for name, test in tests.items() if subject.readable(test.accuracy.accuracy_log)}
    files = {
        "user.conf": place.user_conf,
        "README.md": place.readme,
        "measurements.json": place.measurements,
        "accuracy.txt": place.accuracy.accuracy_text,
        "system.json": place.home.system(place.system),
    }
    return Evidence(
        benchmark=subject.benchmark,
        scenario=subject.scenario,
        round=subject.round,
        division=subject.division,
        root=subject.tree,
        performance=subject.performance,
        accuracy=subject.run(place.accuracy),
        tests={name: run for name, run in audited.items() if run},
        test_accuracy={name: Run(logs.path, subject.tree) for name, logs in kept.items()},
        submitter=place.home.submitter,
        system_name=place.system,
        system=subject.system,
        files={name: path for name, path in files.items() if subject.readable(path)},
        power=place.power if place.power.is_dir() and not place.power.is_symlink() else None,
    )
