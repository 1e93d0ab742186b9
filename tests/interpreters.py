"""Tests that need more of the interpreter than an ordinary unix port gives."""

from __future__ import annotations

import os

import pytest

needs_own = pytest.mark.skipif(
    "MICROPYTHON" in os.environ,
    reason="only the interpreter from PyPI can be bent to the chip's C code, heap and ROM",
)
"""With $MICROPYTHON the simulated board has the host's error numbers and heap, and the frozen
modules lie on the heap; see docs/simulator.md."""
