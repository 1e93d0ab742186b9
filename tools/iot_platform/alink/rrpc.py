"""RRPC: the cloud asks a device and waits for the answer. Platform docs "RRPC"."""

from __future__ import annotations

import asyncio
import re
import secrets

from tools.iot_platform.mqtt.broker import Broker
from tools.iot_platform.mqtt.packets import Publish
from tools.iot_platform.rules.names import Identity

_EXT_RRPC = 1
"""Bit of `ext` in a clientId: requests on topics of the device's own."""
_ANSWER = re.compile(r"/sys/[^/]+/[^/]+/rrpc/response/([0-9]+)|/ext/rrpc/([0-9]+)/.+")


class Rrpc:
    """Requests that are under way, by their id."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._asked: dict[str, tuple[Identity, asyncio.Future[bytes]]] = {}

    async def ask(
        self, device: Identity, payload: bytes, topic: str | None, timeout: float
    ) -> bytes:
        """Sends a request and returns the device's answer.

        topic: one of the device's own, or None for the system's topic; timeout: seconds.
        Raises LookupError if it cannot be sent, TimeoutError if no answer comes.
        """
        number = str(secrets.randbelow(10**19))
        whole = f"/sys/{device}/rrpc/request/{number}"
        if topic is not None:
            whole = f"/ext/rrpc/{number}/{topic}"
            if not any(s.login.ext & _EXT_RRPC for s in self._broker.sessions(device)):
                raise LookupError(f"{device} did not ask for RRPC: bit 0 of ext in its clientId")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = device, answer
        try:
            if not self._broker.publish(device, whole, payload):
                raise LookupError(f"{device} is offline or not subscribed")
            return await asyncio.wait_for(answer, timeout)
        except asyncio.TimeoutError:  # another class in 3.10
            raise TimeoutError(f"{device}: no answer within {timeout} s") from None
        finally:
            del self._asked[number]

    def hear(self, device: Identity, message: Publish) -> bool:
        """Takes a message of a device if it is an answer that is waited for."""
        match = _ANSWER.fullmatch(message.topic)
        asked = self._asked.get(match[1] or match[2]) if match else None
        if asked is None or asked[0] != device or asked[1].done():
            return False
        asked[1].set_result(message.payload)
        return True
