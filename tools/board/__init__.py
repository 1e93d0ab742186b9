"""A simulated ESP32: the MicroPython unix port boots a flash image as the chip does."""

from tools.board.air import AccessPoint
from tools.board.board import Board
from tools.board.lock import InUse
from tools.board.results import BootResult, Cut, Ending, FlashFault, FlashUse
from tools.board.session import Session

__all__ = [
    "AccessPoint",
    "Board",
    "BootResult",
    "Cut",
    "Ending",
    "FlashFault",
    "FlashUse",
    "InUse",
    "Session",
]
