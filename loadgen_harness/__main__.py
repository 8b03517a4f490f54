"""`python -m loadgen_harness` is `lgh`."""

from loadgen_harness.cli import entry

if __name__ == "__main__":
    entry()
