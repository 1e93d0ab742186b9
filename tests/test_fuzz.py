"""A seeded part of `make fuzz`: no foreign exception, no hang, no growing heap."""

from __future__ import annotations

import pytest

from tools.faults import bench, fuzz

CASES = 5_000
SEED = 7


@pytest.mark.parametrize("script", fuzz.KINDS)
def test_mutated_bytes_raise_only_errors_of_the_package(script: str) -> None:
    cases = CASES // fuzz.FEWER.get(script, 1)
    tally = fuzz.fuzz(script, cases, SEED, workers=1)
    assert tally.problems == []
    assert tally.tried == sum(tally.outcomes.values()) == cases
    # The cases must reach the parsers, not fail at their first check.
    assert tally.outcomes["ProtocolError"] < 0.9 * cases
    assert tally.outcomes["NetworkError"] > 0.02 * cases
    assert max(tally.outcomes.values()) < 0.9 * cases, "nor all end the same way"


def test_a_parser_that_breaks_a_rule_is_found(tmp_path_factory: pytest.TempPathFactory) -> None:
    """This tests the fuzzer, with a parser that raises a foreign exception and leaks memory."""
    folder = tmp_path_factory.mktemp("scripts")
    for path in bench.DEVICE_SCRIPTS.glob("*.py"):
        (folder / path.name).write_text(path.read_text())
    (folder / "fuzz_http.py").write_text(
        "import mutate\nkept = []\n"
        "def parse(data):\n"
        "    if data[:1] == b'b': raise ValueError('no good')\n"
        "    kept.append(len(data))\n"
        "mutate.run((b'abc', b'bcd'), parse)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzz, "DEVICE_SCRIPTS", folder)
        tally = fuzz.fuzz("fuzz_http.py", CASES, SEED, workers=1)
    assert any("DEFECT ValueError no good" in problem for problem in tally.problems)
    assert any("the heap grew" in problem for problem in tally.problems)
