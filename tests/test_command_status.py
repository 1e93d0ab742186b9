"""How the commands end: one line on what went wrong, and an exit status."""

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
    ids=["expected", "file", "no file"],
)
def test_an_error_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    def work() -> int:
        raise error

    assert run(work, Expected) == 1
    assert capsys.readouterr() == ("", f"error: {said}\n")


def test_ctrl_c_is_one_word_and_status_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_told", False)
    monkeypatch.delenv("MAKELEVEL", raising=False)

    def work() -> int:
        raise KeyboardInterrupt

    assert run(work) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_defect_keeps_its_traceback() -> None:
    def work() -> int:
        raise ValueError

    with pytest.raises(ValueError):
        run(work, Expected)
