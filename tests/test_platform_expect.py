"""Expect: 100-continue over HTTPS: curl sends it with a longer body, other clients always."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from platform_clients import DEADLINE, tls_context

from tools.iot_platform import LocalPlatform

EXPECTING = (
    "POST {path} HTTP/1.{minor}\r\nHost: x\r\nContent-Length: 98\r\nConnection: close\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nExpect: {expected}\r\n\r\n"
)


def head(
    path: str = "/auth/register/device", expected: str = "100-continue", minor: int = 1
) -> bytes:
    return EXPECTING.format(path=path, expected=expected, minor=minor).encode()


@pytest.fixture(scope="module")
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        yield running


@contextmanager
def https(platform: LocalPlatform) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", platform.https_port), DEADLINE) as raw,
        tls_context(platform).wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        yield connection


@pytest.mark.parametrize("expected", ["100-continue", "100-Continue"])
def test_a_client_that_waits_to_be_told_to_go_on_is_told_so(
    platform: LocalPlatform, expected: str
) -> None:
    with https(platform) as connection:
        connection.sendall(head(expected=expected))
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x" * 98)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_it_is_told_so_before_an_injected_answer_too(platform: LocalPlatform) -> None:
    platform.faults.raw_http(b"HTTP/1.1 503 x\r\n\r\n")
    with https(platform) as connection:
        connection.sendall(head())
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x" * 98)
        assert connection.recv(4096) == b"HTTP/1.1 503 x\r\n\r\n"


def test_a_client_of_http_1_0_is_not_told_to_go_on(platform: LocalPlatform) -> None:
    with https(platform) as connection:
        connection.sendall(head(minor=0) + b"x" * 98)
        assert connection.recv(4096).startswith(b"HTTP/1.0 200 OK\r\n")


@pytest.mark.parametrize("path", ["/", "/auth/register"])
def test_an_answer_that_needs_no_body_comes_at_once(platform: LocalPlatform, path: str) -> None:
    with https(platform) as connection:
        connection.sendall(head(path))
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_another_expectation_fails(platform: LocalPlatform) -> None:
    with https(platform) as connection:
        connection.sendall(head(expected="200-ok"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 417 ")
