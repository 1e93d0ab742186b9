"""Puts the package onto a board with mpremote, follows its log, shows and erases its identity."""

from tools.deploy.errors import DeployError
from tools.deploy.mpremote import Mpremote
from tools.deploy.plan import Plan, make_plan
from tools.deploy.ports import SerialDevice, choose_port, serial_devices
from tools.deploy.state import BoardState, check_firmware, read_state
from tools.deploy.transfer import transfer

__all__ = [
    "BoardState",
    "DeployError",
    "Mpremote",
    "Plan",
    "SerialDevice",
    "check_firmware",
    "choose_port",
    "make_plan",
    "read_state",
    "serial_devices",
    "transfer",
]
