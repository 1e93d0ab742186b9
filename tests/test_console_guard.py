"""The console answers only its own page, on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_client import ConsoleClient
from platform_clients import PK, PS, Answer, tls_context

from tools.iot_platform import LocalPlatform
from tools.iot_platform.console.place import token_of
from tools.iot_platform.console.server import ConsoleSettings

JSON = {"Content-Type": "application/json"}
TOKEN = "a token of thirty-two characters"
ADD = json.dumps({"productKey": PK, "deviceName": "evil"})
PATHS = ["/", "/pages/app.js", "/api/status", "/api/events", "/api/stream", "/api/nothing"]


def refused(answer: Answer) -> str:
    """The message of a 403."""
    status, _, message = ConsoleClient.error(answer)
    assert status == 403
    return message


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}@evil.example",
        "192.0.2.1:{port}",
        "[::1",
        "",
    ],
)
def test_another_host_is_refused_everywhere(
    console: ConsoleClient,
    path: str,
    host: str,
) -> None:
    """DNS rebinding: a page of another site whose name now resolves to this address."""
    given = {"Host": host.format(port=console.port)}

    assert "Host" in refused(console.ask("GET", path, headers=given))


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}"])
def test_its_own_names_are_accepted(console: ConsoleClient, host: str) -> None:
    given = {"Host": host.format(port=console.port)}

    assert console.ask("GET", "/api/status", headers=given).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "null",
        "",
    ],
)
def test_another_origin_can_change_and_read_nothing(
    console: ConsoleClient,
    hub: LocalPlatform,
    origin: str,
) -> None:
    given = {"Origin": origin.format(port=console.port), **JSON}

    assert "Origin" in refused(console.ask("POST", "/api/devices", ADD, given))
    assert "Origin" in refused(console.ask("GET", "/api/devices", headers=given))
    assert hub.registry.devices() == []


def test_its_own_origin_can_make_changes(console: ConsoleClient) -> None:
    given = {"Origin": f"http://127.0.0.1:{console.port}", **JSON}
    good = json.dumps({"productKey": PK, "deviceName": "good"})

    assert console.ask("POST", "/api/devices", good, given).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_fetch_from_another_site_is_refused_even_without_an_origin(
    console: ConsoleClient,
    site: str,
) -> None:
    """<script src>, <img>: no Origin, but browsers send Sec-Fetch-Site."""
    given = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    assert refused(console.ask("GET", "/api/devices", headers=given))
    assert refused(console.ask("GET", "/pages/app.js", headers=given))

    given["Sec-Fetch-Mode"] = "navigate"
    assert refused(console.ask("GET", "/api/devices", headers=given))
    assert console.ask("GET", "/", headers=given).status == 200  # a link from another site


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/json-seq",
    ],
)
def test_a_change_is_accepted_only_as_json(
    console: ConsoleClient,
    hub: LocalPlatform,
    kind: str | None,
) -> None:
    answer = console.ask("POST", "/api/devices", ADD, {"Content-Type": kind} if kind else {})

    assert answer.status == 415
    assert hub.registry.devices() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(console: ConsoleClient, method: str) -> None:
    assert console.ask(method, "/api/devices", "{}", JSON).status == 405


def test_the_headers_keep_other_sites_out(console: ConsoleClient) -> None:
    for path in [*PATHS[:4], "/api/nothing"]:
        headers = {name.lower(): value for name, value in console.ask("GET", path).headers}
        assert not [name for name in headers if name.startswith("access-control-")]
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self'") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_no_other_file_is_served(console: ConsoleClient) -> None:
    for path in ("/pages/../server.py", "/pages/%2e%2e/server.py", "/pages/", "//etc/passwd"):
        assert console.ask("GET", path).status == 404


# Beyond loopback


def test_beyond_loopback_it_does_not_start_without_a_token() -> None:
    platform = LocalPlatform(console=ConsoleSettings(host="0.0.0.0"))

    with pytest.raises(ValueError, match="needs a token"):
        platform.start()


@pytest.fixture
def open_platform() -> Iterator[LocalPlatform]:
    settings = ConsoleSettings(host="0.0.0.0", names=("bench.example",), token=TOKEN)
    with LocalPlatform(console=settings) as running:
        running.registry.add_product(PK, PS)
        yield running


@pytest.fixture
def remote(open_platform: LocalPlatform) -> ConsoleClient:
    return ConsoleClient(open_platform.console_url, tls_context(open_platform))


def test_beyond_loopback_it_uses_https_and_asks_for_the_token(remote: ConsoleClient) -> None:
    assert remote.url.startswith("https://")
    for path in ("/api/status", "/api/devices", "/api/stream", "/api/nothing"):
        assert remote.ask("GET", path).status == 401
    assert remote.ask("POST", f"/api/products/{PK}/secret", "{}", JSON).status == 401
    for wrong in (
        "Bearer",
        "Bearer x",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
    ):
        assert remote.ask("GET", "/api/status", headers={"Authorization": wrong}).status == 401

    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert remote.ask("GET", "/api/status", headers=bearer).status == 200


def test_a_login_gets_a_cookie_that_is_not_the_token(remote: ConsoleClient) -> None:
    page = remote.ask("GET", "/")
    assert (page.status, dict(page.headers)["Location"]) == (303, "/login")
    assert remote.ask("GET", "/login").status == 200
    wrong = remote.ask("POST", "/api/login", '{"token": "guess"}', JSON)
    assert (wrong.status, "token") == (401, wrong.json["error"]["field"])
    assert "Set-Cookie" not in dict(wrong.headers)

    right = remote.ask("POST", "/api/login", json.dumps({"token": TOKEN}), JSON)
    cookie = dict(right.headers)["Set-Cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=Strict", "Secure"} <= set(cookie.split("; "))
    given = {"Cookie": cookie.partition(";")[0]}
    assert remote.ask("GET", "/api/status", headers=given).status == 200
    assert remote.ask("GET", "/", headers=given).status == 200
    given["Cookie"] += "0"
    assert remote.ask("GET", "/api/status", headers=given).status == 401


def test_beyond_loopback_it_accepts_its_addresses_and_names(remote: ConsoleClient) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    for host in ("bench.example", "192.0.2.7", "[2001:db8::1]"):
        given = {"Host": f"{host}:{remote.port}", **bearer}
        assert remote.ask("GET", "/api/status", headers=given).status == 200
    given = {"Host": f"evil.example:{remote.port}", **bearer}
    assert remote.ask("GET", "/api/status", headers=given).status == 403


def test_the_token_is_created_once_and_readable_only_by_this_user(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = token_of(path)

    assert len(token) >= 32
    assert path.stat().st_mode & 0o077 == 0
    assert token_of(path) == token
    path.write_text("short\n")
    with pytest.raises(ValueError, match="expected a token of 16"):
        token_of(path)
