"""What is written about the package by looking at it: `make reference`.

    docs/api.md            every public name: signature from typings/, text from the docstrings
    docs/architecture.md   the picture of its modules, from their imports

Public is what typings/ names. `python -m tools.reference --check` says what is stale.
"""
