"""One module for each section of docs/benchmark.md, and what only they need."""
