"""Host side: what runs on the engineer's machine, each `python -m tools.NAME --help`."""
