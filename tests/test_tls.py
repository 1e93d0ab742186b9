"""Who is not the platform is refused before a byte of a request is sent, and is told why."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.iot_platform import Authority, Certificate, Problem

WAITING = r"trying again in .*\n"
OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
BAD = [
    pytest.param(Certificate(problem=Problem.OTHER_CA), "not correctly signed", id="another CA"),
    pytest.param(Certificate(problem=Problem.SELF_SIGNED), "not correctly signed", id="self"),
    pytest.param(Certificate(problem=Problem.WRONG_HOST), "does not match", id="another host"),
    pytest.param(Certificate(problem=Problem.EXPIRED), "has expired", id="expired"),
    pytest.param(
        Certificate(problem=Problem.NOT_YET_VALID), "starts in the future", id="too early"
    ),
    pytest.param(Certificate(tls=OLD), "PROTOCOL_VERSION", id="TLS 1.0 and 1.1 only"),
]
FLOWS = ["register", "register over MQTT", "connect"]


def board_for(bench: Bench, flow: str, **image: Any) -> Board:
    """A board whose first step is `flow`: a blank one registers, one with a secret connects."""
    ntp = image.pop("ntp", "ok")
    if flow == "connect":
        name = bench.devices(1)[0]
        secret = bench.secret_of(name)
        image["device"] = {
            "productKey": PRODUCT_KEY,
            "deviceName": name,
            "deviceSecret": secret,
        }
        return bench.board(bench.image(bench.product(productSecret=None), **image), ntp=ntp)
    way = "mqtt" if flow == "register over MQTT" else "https"
    return bench.board(bench.image(bench.product(registration=way), **image), ntp=ntp)


def refused(bench: Bench, board: Board) -> str:
    """What the board says when it gives up; nothing of its own has been sent."""
    result = board.boot(WAITING, timeout=20)
    assert result.ending == "until", result.output
    kinds = {event.kind for event in bench.platform.record.events()}
    assert not kinds & {"tls", "http", "register", "connect"}
    (said,) = [line for line in result.output.splitlines() if "trying again" in line]
    return said


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(("certificate", "reason"), BAD)
def test_a_server_that_does_not_prove_itself_is_refused(
    tmp_path: Path, certificate: Certificate, reason: str, flow: str
) -> None:
    with Bench(tmp_path, certificate=certificate) as bench:
        said = refused(bench, board_for(bench, flow))
        assert "localhost" in said
        assert reason in said
        bench.platform.record.wait_for("tls-failed")


@pytest.mark.parametrize("ntp", ["ok", "blocked"])
@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(
    ("roots", "reason"),
    [
        pytest.param([], "no trust roots", id="none"),
        pytest.param([b"junk" * 100], "not a DER certificate", id="junk"),
        pytest.param([Authority().der], "not correctly signed", id="another's"),
    ],
)
def test_without_the_platforms_root_nothing_is_trusted(
    tmp_path: Path, roots: list[bytes], reason: str, flow: str, ntp: str
) -> None:
    """A root that is missing or junk has nothing to do with the clock, set or not."""
    with Bench(tmp_path) as bench:
        said = refused(bench, board_for(bench, flow, roots=roots, ntp=ntp))
        assert reason in said
        verified = reason == "not correctly signed"
        assert ("the clock was never set" in said) == (verified and ntp == "blocked")


def test_a_verification_error_is_waited_out_slowly_for_somebody_must_act(tmp_path: Path) -> None:
    with Bench(tmp_path, certificate=Certificate(problem=Problem.EXPIRED)) as bench:
        said = refused(bench, board_for(bench, "connect"))
        assert int(said.split()[-2]) >= 30


def test_the_ca_among_other_roots_is_found(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        roots = [Authority().der, bench.platform.ca_der, Authority().der]
        result = board_for(bench, "register", roots=roots).boot(CONNECTED, timeout=20)
        assert result.ending == "until", result.output


def test_a_server_that_comes_to_prove_itself_is_accepted_at_the_next_try(tmp_path: Path) -> None:
    with (
        Bench(tmp_path / "bad", certificate=Certificate(problem=Problem.OTHER_CA)) as impostor,
        Bench(tmp_path / "good") as bench,
    ):
        name = f"localhost:{bench.https.port}"
        board = bench.board()
        board.resolve = {name: f"127.0.0.1:{impostor.https.port}", "*": "127.0.0.1"}
        with board.power_on() as session:
            assert session.wait(WAITING, 20) == "until"
            board.resolve = {"*": "127.0.0.1"}
            assert session.wait(CONNECTED, 20) == "until", session.output
