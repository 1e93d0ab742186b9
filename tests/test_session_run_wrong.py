"""`run` where things go wrong: what is not trusted, an interrupt, a reset in a callback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from session_peer import Connection, Peer, message
from test_session_run import GUARD, RUNS, board_with, running

from tools.faults.bench import CONNECTED, Bench
from tools.iot_platform import Certificate, Problem


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.mark.parametrize("which", RUNS)
def test_a_certificate_that_is_refused_is_told_as_that(
    tmp_path_factory: pytest.TempPathFactory, which: str
) -> None:
    """In pieces TLS says only that something was wrong; the log says what."""
    certificate = Certificate(problem=Problem.OTHER_CA)
    with Bench(tmp_path_factory.mktemp("other"), certificate=certificate) as other:
        board = board_with(other, running(which, "") + "run()\n")
        with board.power_on() as session:
            assert session.wait("trying again", GUARD) == "until", session.output
    assert "not correctly signed" in session.output


@pytest.mark.parametrize("which", RUNS)
def test_ctrl_c_while_online_closes_the_session_and_it_can_be_run_again(
    bench: Bench, which: str
) -> None:
    main = (
        running(which, "None, None, idle")
        + """
def idle(session): print("IDLE")
for _ in range(2):
    try:
        run()
    except KeyboardInterrupt:
        print("INTERRUPTED")
"""
    )
    board = board_with(bench, main)
    with board.power_on() as session:
        assert session.wait("IDLE", GUARD) == "until", session.output
        session.send("\x03")
        assert session.wait("INTERRUPTED", GUARD, session.matched) == "until", session.output
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output


@pytest.mark.parametrize("which", RUNS)
def test_a_reset_inside_on_message_withholds_the_acknowledgement(bench: Bench, which: str) -> None:
    """As docs/session.md says: the platform may send it again, or not."""
    seen: list[int] = []

    def serve(c: Connection) -> None:
        c.accept(message(b"/t", b"reset", 1, 7))
        seen.extend(c.rest())

    main = (
        "import machine\ndef on_message(session, topic, payload):\n    machine.reset()\n"
        + running(which, "None, on_message")
        + "run()\n"
    )
    with Peer([serve], tls=True) as peer:
        board = board_with(bench, main, port=peer.port)
        with board.power_on() as session:
            assert session.wait(CONNECTED, GUARD) == "until", session.output
            assert session.wait(None, GUARD) == "reset", session.output
    assert 0x40 not in seen
