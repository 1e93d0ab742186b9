"""The platform vendor's own Python SDK as a client of the local platform.

Runs in the SDK's own environment. Reads JSON from standard input (secrets are never arguments),
plays one scenario, prints what happened as one line of JSON. Host names of the real platform are
resolved to this machine here, in this process only, and its ports to the local platform's.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import socket
import sys
import tempfile
from typing import Any

# By name: this folder is called like the SDK, which type checkers take for it.
linkkit = importlib.import_module("linkkit.linkkit")

DEADLINE = 15.0
Given = dict[str, Any]


class Client:
    """A LinkKit object whose callbacks are waited for."""

    def __init__(self, given: Given, **identity: Any) -> None:
        self._happened: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.sdk = linkkit.LinkKit(
            host_name="cn-shanghai", product_key=given["productKey"], **identity
        )
        self.sdk.config_mqtt(port=8883, cadata=given["root"])
        with tempfile.NamedTemporaryFile("w", suffix=".json") as model:
            model.write("{}")
            model.flush()
            self.sdk.thing_setup(model.name)
        note = self._note
        self.sdk.on_connect = lambda present, code, _: note("connect", code)
        self.sdk.on_device_dynamic_register = lambda code, secret, _: note(
            "register", (code, secret)
        )
        self.sdk.on_device_dynamic_register_nwl_reply = lambda code, ident, user, token: note(
            "register-free", (code, ident, user, token)
        )
        self.sdk.on_thing_prop_post = lambda number, code, data, text, _: note(
            "post", {"code": code, "message": text}
        )
        self.sdk.on_thing_prop_changed = lambda params, _: note("changed", params)
        for name in ("register", "product_register", "login", "logout"):
            self._listen(name, f"on_gateway_{name}_subdev_reply")
        self._listen("add", "on_gateway_add_subdev_topo_reply")
        self._listen("delete", "on_gateway_delete_subdev_topo_reply")
        self.sdk.on_gateway_topo_change = lambda number, params, _: note("change", params)
        self.sdk.connect_async()

    def _note(self, what: str, value: Any) -> None:
        self._happened.put((what, value))

    def _listen(self, what: str, callback: str) -> None:
        def reply(number: Any, code: Any, data: Any, message: Any, _: Any) -> None:
            self._note(what, {"code": code, "data": data, "message": message})

        setattr(self.sdk, callback, reply)

    def wait_for(self, what: str) -> Any:
        """The value of the next callback, which must be `what`."""
        happened, value = self._happened.get(timeout=DEADLINE)
        if happened != what:
            raise AssertionError(f"waited for {what}, got {happened}")
        return value


def redirect(ports: dict[str, int]) -> None:
    """Resolves every name to this machine, and port 443 and 8883 to the local platform's."""
    original = socket.getaddrinfo

    def resolve(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        return original("127.0.0.1", ports.get(str(port), port), *more, **named)

    socket.getaddrinfo = resolve


def post(client: Client) -> Any:
    client.sdk.thing_post_property({"temperature": 21.5})
    return client.wait_for("post")


def https(given: Given) -> Given:
    """Registers over HTTPS, connects, posts a property, has one set."""
    client = Client(
        given,
        device_name=given["deviceName"],
        device_secret="",
        product_secret=given["productSecret"],
    )
    code, secret = client.wait_for("register")
    connected = client.wait_for("connect")
    posted = post(client)
    print("READY", flush=True)
    return {
        "register": code,
        "secret": secret,
        "connect": connected,
        "post": posted,
        "changed": client.wait_for("changed"),
    }


def https_refused(given: Given) -> Given:
    """Tries to register over HTTPS; the SDK hands over the message of the refusal."""
    client = Client(
        given,
        device_name=given["deviceName"],
        device_secret="",
        product_secret=given["productSecret"],
    )
    code, message = client.wait_for("register")
    return {"register": code, "message": message}


def register(given: Given) -> Given:
    """Registers over MQTT, then connects with the DeviceSecret."""
    first = Client(
        given,
        device_name=given["deviceName"],
        device_secret="",
        product_secret=given["productSecret"],
        auth_type="register",
        instance_id=given.get("instanceId"),
    )
    first.wait_for("connect")
    code, secret = first.wait_for("register")
    second = Client(given, device_name=given["deviceName"], device_secret=secret)
    connected = second.wait_for("connect")
    return {"register": code, "secret": secret, "connect": connected, "post": post(second)}


def regnwl(given: Given) -> Given:
    """Registers over MQTT without pre-registration, then connects with the deviceToken."""
    first = Client(
        given,
        device_name=given["deviceName"],
        device_secret="",
        product_secret=given["productSecret"],
        auth_type="regnwl",
        instance_id=given.get("instanceId"),
    )
    first.wait_for("connect")
    code, ident, user, token = first.wait_for("register-free")
    second = Client(
        given,
        device_name=given["deviceName"],
        device_secret="",
        client_id=ident,
        username=user,
        password=token,
    )
    connected = second.wait_for("connect")
    return {"register": code, "token": token, "connect": connected, "post": post(second)}


def gateway(given: Given) -> Given:
    """A gateway: registers sub-devices, adds them, logs them in, out, and takes them out."""
    client = Client(given, device_name=given["deviceName"], device_secret=given["deviceSecret"])
    sdk, key = client.sdk, given["subdeviceKey"]
    done: Given = {"connect": client.wait_for("connect")}
    sdk.gateway_register_subdev([[key, name] for name in given["subdevices"]])
    done["register"] = client.wait_for("register")
    signed = [
        [entry["productKey"], entry["deviceName"], entry["deviceSecret"]]
        for entry in done["register"]["data"]
    ]
    names = [entry[:2] for entry in signed]
    sdk.gateway_add_subdev_topo(signed)
    done["add"] = client.wait_for("add")
    sdk.gateway_login_subdev(signed)
    done["login"] = client.wait_for("login")
    print("READY", flush=True)
    done["change"] = client.wait_for("change")
    sdk.gateway_logout_subdev(names)
    done["logout"] = client.wait_for("logout")
    sdk.gateway_delete_subdev_topo(names)
    done["delete"] = client.wait_for("delete")
    sdk.gateway_product_register_subdev(
        [[key, given["subdevices"][0], given["subdeviceProductSecret"]]]
    )
    done["product_register"] = client.wait_for("product_register")
    return done


SCENARIOS = {
    "https": https,
    "https-refused": https_refused,
    "register": register,
    "regnwl": regnwl,
    "gateway": gateway,
}


def main() -> None:
    given = json.loads(sys.stdin.read())
    redirect(given["ports"])
    result = SCENARIOS[sys.argv[1]](given)
    print(json.dumps(result), flush=True)
    os._exit(0)  # the SDK's threads have no other end


if __name__ == "__main__":
    main()
