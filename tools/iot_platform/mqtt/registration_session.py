"""A session that registers over MQTT: the answer is pushed, then the device has to leave.

Platform docs "MQTT-based dynamic registration".
"""

from __future__ import annotations

import asyncio
import json

from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.session import Session
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.store.record import Record


async def answer_registration(
    session: Session, behaviour: Behaviour, record: Record, faults: Faults
) -> None:
    """Accepts, pushes the answer without a SUBSCRIBE, and closes a session that stays."""
    session.write(packets.connack(0))
    lost = faults.take_lost_answer()
    if lost is None:
        await _push(session, behaviour, faults)
    else:
        record.add("fault", session.identity, what="registration answer lost")
        if not lost.stay_open:
            session.close("injected fault")
    run = session.run(None, lambda message: None, lambda wanted: True)
    try:
        await asyncio.wait_for(run, behaviour.registration_session)
    except asyncio.TimeoutError:  # another class in 3.10
        session.close("registration over")
    record.add("disconnect", session.identity, reason=session.reason, auth=session.login.auth)


async def _push(session: Session, behaviour: Behaviour, faults: Faults) -> None:
    login = session.login
    free = login.auth == "regnwl"
    topic = behaviour.registration_free_topic if free else "/ext/register"
    payload = json.dumps(login.answer, separators=(",", ":")).encode()
    slow = faults.take_slow_answer()
    if slow is None:
        session.deliver(topic, payload, 0)
        return
    await asyncio.sleep(slow.delay)
    whole = packets.publish(topic, payload)
    step = slow.piece or len(whole)
    for at in range(0, len(whole), step):
        session.write(whole[at : at + step])
        await asyncio.sleep(slow.pause)
