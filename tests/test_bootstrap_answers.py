"""Answers of bootstrap: any layout is accepted, as in the C SDK, but values are checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]
HOST = "iot-060a0bgd.mqtt.iothub.aliyuncs.com"
GOOD = '{"code":200,"data":{"resources":{"mqtt":{"host":"HOST","port":"1883"}}},"message":"ok"}'
GOOD = GOOD.replace("HOST", HOST)

WRONG_HOSTS: tuple[object, ...] = (None, 5, [], {}, "é", "a\n")


def ask(on_device: OnDevice, body: str | bytes, status: int = 200) -> Any:
    (told,) = on_device("bootstrap_answers.py", {"answers": [[status, body]]})
    return told


def answer(host: object = HOST, port: object = "1883", **more: object) -> str:
    return json.dumps({"data": {"host": host, "port": port}, **more})


def test_the_request_form_is_that_of_the_c_sdk(on_device: OnDevice) -> None:
    told = on_device("bootstrap_answers.py", {"form": ["a1ExpAkj9Hi", "unit:1"]})
    assert told == (
        "productKey=a1ExpAkj9Hi&deviceName=unit%3A1&clientId=a1ExpAkj9Hi.unit%3A1&resources=mqtt"
    )


def test_host_and_port_are_found_anywhere_in_the_answer(on_device: OnDevice) -> None:
    bodies = [
        GOOD,
        answer(),
        answer(port=1883),
        '{"host":"HOST","port":"1883"}',
        '  {"port" :\n1883 ,"deep":[{"x":[{"host" : "HOST"}]}]} ',
        '{"say":"\\"host\\":\\"evil\\"","host":"HOST","port":"1883"}',
        '{"a\\"host":"evil","host":"HOST","port":"1883","b":{"host":"second","port":"1"}}',
        '{"note":"host","host":"HOST","ip":"192.0.2.1","port":"1883"}',
        '{"deviceName":"unit1","productKey":"a1ExpAkj9Hi","host":"HOST","port":1883}',
    ]
    given = {"answers": [[200, body.replace("HOST", HOST)] for body in bodies]}
    assert on_device("bootstrap_answers.py", given) == [[HOST, 1883]] * len(bodies)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "", "not a JSON object"),
        (200, "[]", "not a JSON object"),
        (200, '"host"', "not a JSON object"),
        (200, GOOD[:-2], "not a JSON object"),
        (200, "<html>", "not a JSON object"),
        (200, "{}", "no usable host and port"),
        (200, '{"code":500}', "refused, HTTP status 200, code 500"),
        (200, '{"code":6100,"data":{"host":"a.b","port":"1"}}', "code 6100"),
        (200, answer(code="200x"), "refused"),
        (500, GOOD, "refused, HTTP status 500, code 200"),
        (404, "{}", "refused, HTTP status 404, code None"),
        (200, answer(deviceName="unit2"), "for another device"),
        (200, answer(productKey="a1Another00"), "for another device"),
        *(
            (200, answer(host=host), "no usable host and port")
            for host in ("", ".", "a..b", "-a", "a-", "a b", "http://a", "a:1", "a/b", "x" * 64)
        ),
        *((200, answer(host=host), "no usable host") for host in WRONG_HOSTS),
        *(
            (200, answer(port=port), "no usable host and port")
            for port in ("", "0", "65536", "-1", "+1", "1e3", " 1", "0x1", "mqtt", 0, 65536, 1.5)
        ),
        *((200, answer(port=port), "no usable host") for port in (None, True, [1], "9" * 40)),
    ],
)
def test_an_unusable_answer_is_refused(
    on_device: OnDevice, status: int, body: str, said: str
) -> None:
    told = ask(on_device, body, status)
    assert told["error"] == "ProtocolError"
    assert said in told["text"]
    assert "second" not in told["text"]


def test_a_truncated_answer_is_never_accepted(on_device: OnDevice) -> None:
    bodies = [GOOD, '{"port":18830,"host":"a.b","port":1}']
    given = {"answers": [], "cut": [[200, body] for body in bodies]}
    assert on_device("bootstrap_answers.py", given) == []


def test_host_names_are_validated(on_device: OnDevice) -> None:
    hosts = {"a": True, "a.b": True, "192.0.2.1": True, "a_b.c-d": True, "x" * 63: True}
    hosts |= {"x" * 64: False, "a" + ".a" * 64: False, "": False, "a.": False, "ä": False}
    told = on_device("bootstrap_answers.py", {"hosts": list(hosts)})
    assert told == list(hosts.values())


def test_a_notice_is_answered_with_its_own_id(on_device: OnDevice) -> None:
    notices = {
        '{"id":"123","params":{"cmd":0}}': '{"id":"123","code":200,"data":{}}',
        '{"params":{"cmd":"0"},"id":7}': '{"id":"7","code":200,"data":{}}',
        '{"cmd":0}': '{"id":"0","code":200,"data":{}}',
        '{"id":"a\\"b","cmd":0}': '{"id":"0","code":200,"data":{}}',
        '{"id":"' + "9" * 33 + '","cmd":0}': '{"id":"0","code":200,"data":{}}',
        '{"id":"1","params":{"cmd":1}}': None,
        '{"id":"1","params":{"cmd":00}}': None,
        '{"id":"1","params":{}}': None,
        "": None,
        "cmd": None,
    }
    told = on_device("bootstrap_answers.py", {"notices": list(notices)})
    assert told == list(notices.values())
