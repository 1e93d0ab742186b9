"""What the platform answers to messages: Alink requests and their envelope.

Platform docs "Alink protocol". Handlers of gateway requests are in `gateway`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Any

from tools.iot_platform.alink.gateway import Gateways
from tools.iot_platform.alink.ntp import answer_time
from tools.iot_platform.alink.rrpc import Rrpc
from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.session import Session
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.codes import MESSAGES, SESSION_ERROR, Refusal
from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.rules.names import Identity, is_system_topic, topic_owner
from tools.iot_platform.store.record import Record

_POST = re.compile(r"thing/(?:event/.+/post|deviceinfo/(?:update|delete))")
_ID_MOST = 4294967295
_logger = logging.getLogger(__name__)

Handler = Callable[[Session, Any], Any]
"""(session, params) -> data of the reply; raises Refusal."""


class Services:
    """Answers requests, and passes on what concerns sub-devices."""

    def __init__(
        self,
        gateways: Gateways,
        rrpc: Rrpc,
        behaviour: Behaviour,
        record: Record,
        faults: Faults,
    ) -> None:
        self._gateways = gateways
        self._rrpc = rrpc
        self._behaviour = behaviour
        self._record = record
        self._faults = faults

    def may_use(self, session: Session, owner: Identity) -> bool:
        """Whether the session may use the topics of `owner`: its own and its sub-devices'."""
        return owner == session.identity or self._gateways.session_of(owner) is session

    def product_keys(self, session: Session) -> set[str]:
        """The products whose broadcasts the session may have: its own and its sub-devices'."""
        subdevices = self._gateways.online(session)
        return {session.identity.product_key, *(name.product_key for name in subdevices)}

    def session_for(self, subdevice: Identity, topic: str) -> tuple[Session | None, int | None]:
        """The gateway's session a sub-device is online through, and the QoS it granted a topic."""
        session = self._gateways.session_of(subdevice)
        if session is None:
            return None, None
        by_login = self._gateways.wants(subdevice) and is_system_topic(topic)
        return session, 1 if by_login else session.kept.granted(topic)

    def session_began(self, session: Session) -> None:
        """A sub-device that connects by itself is logged out of its gateway, which is told."""
        self._gateways.force_offline(session.identity, 427)

    def session_ended(self, session: Session, reason: str) -> None:
        """Takes the session's sub-devices offline."""
        self._gateways.session_ended(session, reason)

    def answers(self, session: Session, message: packets.Publish) -> bool:
        """Takes a message on a topic that names no device, if the platform waits for it."""
        return self._rrpc.hear(session.identity, message)

    def refuse(self, session: Session, owner: Identity | None, message: packets.Publish) -> None:
        """Tells a gateway that it published for a sub-device that is not online."""
        if owner is None:
            return
        if self._gateways.topology.gateway_of(owner) == session.identity:
            self._gateways.notice(session.identity, 520, SESSION_ERROR, _id_of(message.payload))

    def handle(self, session: Session, message: packets.Publish) -> None:
        """Answers a message on a topic of the device or of one of its sub-devices."""
        owner = topic_owner(message.topic)
        assert owner is not None  # the broker asked `may_use`
        if self._rrpc.hear(owner, message):
            return
        if message.topic == f"/ext/ntp/{owner}/request":
            answer_time(self._gateways, owner, message)
            return
        for root in ("/sys/", "/ext/session/"):
            prefix = f"{root}{owner}/"
            if message.topic.startswith(prefix):
                tail = message.topic[len(prefix) :]
                handler = self._handler(root, tail, owner == session.identity)
                if handler is not None:
                    self._answer(session, owner, tail, message, handler)
                return

    def _handler(self, root: str, tail: str, own: bool) -> Handler | None:
        if root == "/sys/" and _POST.fullmatch(tail):
            return lambda _session, _params: {}
        return self._gateways.handlers.get(root + tail) if own else None

    def _answer(
        self,
        session: Session,
        owner: Identity,
        tail: str,
        message: packets.Publish,
        handler: Handler,
    ) -> None:
        request: dict[str, Any] = {}
        data: Any = {}
        why = None
        try:
            _read_request(message.payload, request)
            data = handler(session, request.get("params"))
            code, text = 200, MESSAGES[200]
        except Refusal as refusal:
            code, text, why = refusal.code, refusal.message, refusal.why
        # A defect of this platform: seen in its log, and a 500 to the device.
        except Exception:
            _logger.exception("the platform itself failed")
            code, text = 500, MESSAGES[500]
        silent = self._behaviour.silent_on_ack_0 and _ack(request) == "0"
        params = request.get("params")
        self._record.add(
            "request",
            owner,
            code,
            topic=tail,
            id=_text_id(request)[:20],
            count=_count(params),
            answered=not silent,
            reason=why,
        )
        if silent:
            return
        session_topic = message.topic.startswith("/ext/session/")
        reply: dict[str, Any]
        if session_topic:  # replies of /ext/session carry neither method nor version
            reply = {"id": _text_id(request), "code": code, "message": text, "data": data}
            if self._behaviour.batch_login_text_code and tail == "combine/batch_login":
                reply["code"] = str(code)
        else:
            method = request.get("method")
            reply = {
                "code": code,
                "data": data,
                "id": _text_id(request),
                "message": text,
                "method": method if isinstance(method, str) else tail.replace("/", "."),
                "version": "1.0",
            }
        self._reply(owner, message.topic + "_reply", reply)

    def _reply(self, owner: Identity, topic: str, reply: dict[str, Any]) -> None:
        payload = json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode()
        if self._faults.take_switch(owner, "lost"):
            self._record.add("fault", owner, what="reply lost", topic=topic)
            return
        slow = self._faults.take_switch(owner, "slow")
        if slow is not None:
            self._record.add("fault", owner, what=f"reply {slow.seconds:g} s late", topic=topic)
            asyncio.get_running_loop().call_later(
                slow.seconds, self._gateways.publish, owner, topic, payload
            )
            return
        if self._faults.edit_reply is None:
            self._gateways.publish(owner, topic, payload)
            return
        sent = self._faults.edit_reply(topic, payload)
        if list(sent) != [(0, topic, payload)]:
            self._record.add("fault", owner, what="reply edited", topic=topic, sent=len(sent))
        loop = asyncio.get_running_loop()
        for delay, other_topic, other_payload in sent:
            loop.call_later(delay, self._gateways.publish, owner, other_topic, other_payload)


def _read_request(payload: bytes, request: dict[str, Any]) -> None:
    """Fills in what can be read, then raises Refusal 460 if something is wrong with it."""
    try:
        loaded = json.loads(payload)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested to break the reader
        raise Refusal(460, "not JSON") from None
    if not isinstance(loaded, dict):
        raise Refusal(460, "not a JSON object")
    request |= loaded
    number = request.get("id")
    if isinstance(number, bool) or not isinstance(number, (str, int)):
        raise Refusal(460, "id is missing")
    digits = str(number)
    if not digits.isdecimal() or len(digits) > len(str(_ID_MOST)) or int(digits) > _ID_MOST:
        raise Refusal(460, f"id is no number from 0 to {_ID_MOST}")
    params = request.get("params")
    if isinstance(params, str):  # the C SDK 4.x sends "{}", a string, with topo/get
        try:
            request["params"] = json.loads(params)
        except (ValueError, RecursionError):
            raise Refusal(460, "params is no JSON") from None


def _ack(request: dict[str, Any]) -> str | None:
    system = request.get("sys")
    return str(system.get("ack")) if isinstance(system, dict) else None


def _count(params: Any) -> int | None:
    if isinstance(params, dict):
        params = params.get("deviceList", params.get("proxieds"))
    return len(params) if isinstance(params, list) else None


def _text_id(request: dict[str, Any]) -> str:
    """The id of a request as text; empty if there is none that could be repeated."""
    number = request.get("id")
    good = isinstance(number, (str, int)) and not isinstance(number, bool)
    return str(number) if good else ""


def _id_of(payload: bytes) -> str:
    try:
        request = json.loads(payload)
    except (ValueError, RecursionError):
        return "0"
    return (_text_id(request) if isinstance(request, dict) else "") or "0"
