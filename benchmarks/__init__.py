"""One package per task; each defines BENCHMARK."""
