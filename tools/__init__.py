"""Host side: everything that runs on the engineer's machine, each `python -m tools.NAME --help`."""
