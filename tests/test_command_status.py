"""How commands end: one line for an error, and an exit status."""

from __future__ import annotations

import errno

import pytest

import tools
from tools.command import run


class Expected(Exception):
    pass


def test_the_status_is_what_the_work_returns(capsys: pytest.CaptureFixture[str]) -> None:
    assert [run(lambda: 0), run(lambda: 1)] == [0, 1]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Expected("wifi.json: ssid: expected text"), "wifi.json: ssid: expected text"),
        (OSError(errno.ENOENT, "no such file", "x.bin"), "x.bin: no such file"),
        (OSError("could not open port"), "could not open port"),
    ],
    ids=["expected", "with a file", "without a file"],
)
def test_an_error_prints_one_line_and_gives_status_1(
    capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    def work() -> int:
        raise error

    assert run(work, Expected) == 1
    assert capsys.readouterr() == ("", f"error: {said}\n")


def test_ctrl_c_prints_one_word_and_gives_status_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_told", False)
    monkeypatch.delenv("MAKELEVEL", raising=False)

    def work() -> int:
        raise KeyboardInterrupt

    assert run(work) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_an_unexpected_exception_keeps_its_traceback() -> None:
    def work() -> int:
        raise ValueError

    with pytest.raises(ValueError):
        run(work, Expected)
