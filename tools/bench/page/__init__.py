"""docs/benchmark.md and its pictures."""
