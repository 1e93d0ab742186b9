"""A gateway on the simulated board: lost connections, power cuts, old secrets, late replies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_board_helpers import (
    GATEWAY,
    SENSOR_KEY,
    MakeGateway,
    boot,
    gateway_boards,
    known,
    online,
    registrations,
    sensor_platform,
    sensors,
    stored,
)

from tools.board import Cut
from tools.iot_platform import LocalPlatform


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with sensor_platform() as running:
        yield running


@pytest.fixture
def gateway(platform: LocalPlatform, tmp_path: Path) -> MakeGateway:
    return gateway_boards(platform, tmp_path)


def test_sub_devices_are_logged_in_again_after_a_lost_connection(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway(
        "from aliyun_iot.errors import NetworkError\n"
        "gateway.spacing = 500\n"
        "gateway.bring_online(names(0, 40))\ngateway.logout(names(0, 1))\nprint('ready')\n"
        "try:\n    gateway.wait(20000)\nexcept NetworkError:\n    pass\n"
        "device.connect()\nprint(gateway.reconnected(), 'again')\nprint('the end')\n"
        "gateway.wait(10000)\n"
    )
    with board.power_on() as session:
        assert session.wait("ready", 30) == "until", session.output
        assert platform.disconnect(*GATEWAY)
        assert session.wait("the end", 60) == "until", session.output
        assert "39 again" in session.output
        assert online(platform) == sensors(40)[1:]
    assert len(registrations(platform)) == 40


def test_a_power_cut_while_certificates_are_stored_loses_no_sub_device(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway("print(gateway.bring_online(names(0, 40)), 'online')\nprint('the end')\n")
    for operation in (2, 12, 21, 26):
        board.boot(timeout=30, power_cut=Cut(operation, "middle"))
    result = boot(board)
    assert "40 online" in result.output
    assert stored(board) == known(platform, sensors(40))


def test_a_secret_that_another_registration_replaced_is_renewed(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway("print(gateway.bring_online(names(0, 4)), 'online')\nprint('the end')\n")
    boot(board)
    platform.registry.issue_secret(
        platform.registry.device(SENSOR_KEY, "sensor-002").identity, True
    )
    result = boot(board)
    assert "4 online" in result.output
    assert stored(board) == known(platform, sensors(4))
    assert registrations(platform).count("sensor-002") == 2
    assert len(registrations(platform)) == 5


@pytest.mark.parametrize("late", ["thing/sub/register", "thing/topo/add", "combine/batch_login"])
def test_a_late_reply_only_costs_time(
    platform: LocalPlatform, gateway: MakeGateway, late: str
) -> None:
    board = gateway(
        "gateway.timeout = 500\n"
        "print(gateway.bring_online(names(0, 5)), 'online')\nprint('the end')\n"
    )
    seen: list[str] = []

    def edit(topic: str, payload: bytes) -> list[tuple[float, str, bytes]]:
        if topic.endswith(late + "_reply") and not seen:
            seen.append(topic)
            return [(0.7, topic, payload)]  # by then another request is under way
        return [(0, topic, payload)]

    platform.faults.edit_reply = edit
    output = boot(board).output
    assert "5 online" in output
    assert f"{late}: no answer in time; asking again" in output
    assert stored(board) == known(platform, sensors(5))
