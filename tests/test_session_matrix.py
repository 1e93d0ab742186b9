"""A seeded share of the session's matrix; `make faults` runs all of it."""

from __future__ import annotations

from pathlib import Path

from tools.faults import session_matrix
from tools.faults.bench import Bench

SEED = 11


def test_a_share_of_loops_applications_and_links(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        tallies = session_matrix.matrix(bench, most=24, seed=SEED, parallel=24)
    assert [problem for tally in tallies for problem in tally.problems] == []
    assert sum(tally.tried for tally in tallies) == 24
    assert len(tallies) == len(session_matrix.LINKS)


def test_every_loop_application_and_link_is_in_the_matrix() -> None:
    assert len(set(session_matrix.CELLS)) == 5 * 6 * 8
