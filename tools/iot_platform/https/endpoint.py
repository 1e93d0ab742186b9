"""The HTTPS endpoint: POST /auth/register/device and /auth/bootstrap.

Answers are what the platform's own SDKs need: compact JSON, `code`, `data`, `message` in this
order, and a Content-Length spelled so; chunked or close-delimited answers break them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import HttpVersion11, web

from tools.iot_platform.https.bootstrap import Bootstrap
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.codes import MESSAGES, Refusal
from tools.iot_platform.rules.faults import Faults, RawHttp
from tools.iot_platform.rules.limits import FORM_BYTES
from tools.iot_platform.store.record import Record
from tools.iot_platform.store.registration import Registration

PATH = "/auth/register/device"
BOOTSTRAP = "/auth/bootstrap"
_HEADERS = {"Content-Type": "application/json;charset=utf-8", "Server": "Tengine"}
_logger = logging.getLogger(__name__)
_aiohttp_logger = logging.getLogger(f"{__name__}.aiohttp")


class Endpoint:
    """Turns HTTP requests into answers. `server` makes a protocol for each connection."""

    def __init__(
        self,
        registration: Registration,
        bootstrap: Bootstrap,
        behaviour: Behaviour,
        record: Record,
        faults: Faults,
    ) -> None:
        self._registration = registration
        self._bootstrap = bootstrap
        self._behaviour = behaviour
        self._record = record
        self._faults = faults
        # aiohttp logs what clients do wrong as errors of its own: not to standard error.
        _aiohttp_logger.setLevel(logging.CRITICAL)
        self.server = web.Server(self._handle, access_log=None, logger=_aiohttp_logger)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = self._faults.take_raw_http(request.path)
        if raw is not None:
            await _go_on(request)
            await request.read()
            self._record.add("fault", what="raw HTTP answer", path=request.path)
            return await self._send_raw(request, raw)
        answer = {PATH: self._register, BOOTSTRAP: self._bootstrap_answer}.get(request.path)
        status = 404 if answer is None else 405
        if answer is not None and request.method == "POST":
            status = 200 if await _go_on(request) else 417
        if answer is None or status != 200:
            self._record.add("http", code=status, method=request.method, path=request.path[:200])
            return web.Response(status=status, headers={"Server": "Tengine"})
        return await answer(request)

    async def _bootstrap_answer(self, request: web.BaseRequest) -> web.StreamResponse:
        fields: dict[str, str] = {}
        code, reason = 200, None
        try:
            fields = await _read_form(request)
            body = await self._bootstrap.answer(fields)
        except Refusal as refusal:
            code, reason = refusal.code, refusal.why
            body = _compact({"code": refusal.code, "message": refusal.message})
        # A defect of this platform: seen in its log, and a 500 to the device.
        except Exception:
            _logger.exception("the platform itself failed")
            code, body = 500, _compact({"code": 500, "message": MESSAGES[500]})
        who = (fields.get("productKey"), fields.get("deviceName"))
        self._record.add("bootstrap", who, code, reason=reason, peer=_peer(request))
        return _answer(200 if code == 200 else self._behaviour.http_failure_status, body)

    async def _register(self, request: web.BaseRequest) -> web.StreamResponse:
        fields: dict[str, str] = {}
        peer = _peer(request)
        try:
            fields = await _read_form(request)
            code = self._faults.take_register_code()
            if code is not None:
                raise Refusal(code, "injected fault")
            who = fields.get("productKey"), fields.get("deviceName")
            code = self._faults.take_refusal(who, connect=False)
            if code is not None:
                raise Refusal(code, "fault switch: refuse")
            device = self._registration.register(fields)
        except Refusal as refusal:
            return self._refuse(fields, refusal, peer)
        # A defect of this platform: seen in its log, and a 500 to the device.
        except Exception:
            _logger.exception("the platform itself failed")
            return self._refuse(fields, Refusal(500), peer)
        data = {
            "deviceName": device.device_name,
            "deviceSecret": device.device_secret,
            "productKey": device.product_key,
        }
        lost = self._faults.take_lost_answer(device.identity)
        self._note(fields, 200, peer, answered=lost is None)
        if lost is not None:
            self._record.add("fault", device.identity, what="registration answer lost")
            return await self._send_raw(request, RawHttp([], stay_open=lost.stay_open))
        answer = _answer(200, _compact({"code": 200, "data": data, "message": MESSAGES[200]}))
        slow = self._faults.take_slow_answer(device.identity)
        if slow is None:
            return answer
        late = f"registration answer {slow.delay:g} s late"
        self._record.add("fault", device.identity, what=late)
        await asyncio.sleep(slow.delay)
        if slow.piece is None:
            return answer
        whole = _as_bytes(answer)
        pieces = [whole[at : at + slow.piece] for at in range(0, len(whole), slow.piece)]
        return await self._send_raw(request, RawHttp(pieces, slow.pause))

    def _refuse(self, fields: dict[str, str], refusal: Refusal, peer: str) -> web.Response:
        self._note(fields, refusal.code, peer, reason=refusal.why)
        body = {"code": refusal.code, "message": refusal.message}
        return _answer(self._behaviour.http_failure_status, _compact(body))

    def _note(
        self,
        fields: dict[str, str],
        code: int,
        peer: str,
        reason: str | None = None,
        answered: bool = True,
    ) -> None:
        self._record.add(
            "register",
            (fields.get("productKey"), fields.get("deviceName")),
            code,
            via="https",
            sign_method=fields.get("signMethod"),
            reason=reason,
            answered=answered,
            peer=peer,
        )

    async def _send_raw(self, request: web.BaseRequest, raw: RawHttp) -> web.StreamResponse:
        transport = request.transport
        for piece in raw.pieces:
            if transport is None or transport.is_closing():
                break
            transport.write(piece)
            await asyncio.sleep(raw.pause)
        if raw.stay_open:
            await asyncio.Event().wait()  # until the client or the platform closes
        if transport is not None:
            transport.close()
        return web.Response()  # goes nowhere: the transport is closed


async def _go_on(request: web.BaseRequest) -> bool:
    """Tells a client that waits for it to send its body; False: it expects something else."""
    expected = request.headers.get("Expect")
    if expected is None or request.version < HttpVersion11:
        return True
    if expected.lower() != "100-continue":
        return False
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return True


async def _read_form(request: web.BaseRequest) -> dict[str, str]:
    body = await request.content.read(FORM_BYTES + 1)
    while len(body) <= FORM_BYTES and not request.content.at_eof():
        body += await request.content.read(FORM_BYTES + 1 - len(body))
    if len(body) > FORM_BYTES:
        raise Refusal(460, f"body longer than {FORM_BYTES} bytes")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
        )
    except ValueError:  # UnicodeDecodeError is one
        raise Refusal(460, "the body is not a form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refusal(460, "a parameter is given twice")
    return fields


def _compact(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _answer(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, headers=_HEADERS)


def _peer(request: web.BaseRequest) -> str:
    address = request.transport.get_extra_info("peername") if request.transport else None
    return ":".join(map(str, address[:2])) if address else "?"


def _as_bytes(answer: web.Response) -> bytes:
    body = answer.body
    assert isinstance(body, bytes)  # `_answer` made it
    head = f"HTTP/1.1 {answer.status} OK\r\nContent-Length: {len(body)}\r\n"
    headers = {**_HEADERS, "Date": formatdate(usegmt=True)}
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.encode() + b"\r\n" + body
