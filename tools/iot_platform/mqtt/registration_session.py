"""A session that registers over MQTT: the answer is pushed, then the device has to leave.

Platform docs "MQTT-based dynamic registration".
"""

from __future__ import annotations

import asyncio
import json

from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.session import Session
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.faults import Faults, SlowAnswer
from tools.iot_platform.store.record import Record


class Registrar:
    """Answers sessions that register."""

    def __init__(self, behaviour: Behaviour, record: Record, faults: Faults) -> None:
        self._behaviour = behaviour
        self._record = record
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Ends answers that are on their way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def answer(self, session: Session) -> None:
        """Accepts, pushes the answer without a SUBSCRIBE, and closes a session that stays."""
        session.write(packets.connack(0))
        lost = self._faults.take_lost_answer(session.identity)
        slow = None if lost else self._faults.take_slow_answer(session.identity)
        topic = "/ext/register"
        if session.login.auth == "regnwl":
            topic = self._behaviour.registration_free_topic
        payload = json.dumps(session.login.answer, separators=(",", ":")).encode()
        if lost is not None:
            self._record.add("fault", session.identity, what="registration answer lost")
            if not lost.stay_open:
                session.close("injected fault")
        elif slow is None:
            session.deliver(topic, payload, 0)
        else:
            pushing = asyncio.ensure_future(
                self._push_slowly(session, packets.publish(topic, payload), slow)
            )
            self._tasks.add(pushing)
            pushing.add_done_callback(self._tasks.discard)
            return
        self._limit(session)

    def _limit(self, session: Session) -> None:
        session.connection.deadline(self._behaviour.registration_session, "registration over")

    async def _push_slowly(self, session: Session, whole: bytes, slow: SlowAnswer) -> None:
        await asyncio.sleep(slow.delay)
        step = slow.piece or len(whole)
        for at in range(0, len(whole), step):
            session.write(whole[at : at + step])
            await asyncio.sleep(slow.pause)
        self._limit(session)
