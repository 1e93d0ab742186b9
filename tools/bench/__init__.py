"""What the package costs, measured beside its peers: `make bench`.

Every figure in docs/benchmark.md is produced by this command; its definitions stand in the module
that measures it: `heap`, `flash`, `wire`, `timing`, `scale`, `load`. `budgets` holds the limits
that the test suite checks.
"""
