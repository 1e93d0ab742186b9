"""The local platform's TLS: its own CA, certificates good and bad, what C SDKs can use."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from platform_clients import DEADLINE, tls_context

from tools.iot_platform import Authority, Certificate, LocalPlatform, Problem

C_SDK_CIPHERS = ["AES128-SHA", "AES256-SHA", "AES128-SHA256", "AES256-SHA256"]


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        yield running


def handshake(
    platform: LocalPlatform, host: str = "localhost", context: ssl.SSLContext | None = None
) -> tuple[bytes, str]:
    """The server's certificate (DER) and the cipher."""
    context = context or tls_context(platform)
    with (
        socket.create_connection(("127.0.0.1", platform.mqtt_tls_port), DEADLINE) as raw,
        context.wrap_socket(raw, server_hostname=host) as connection,
    ):
        certificate, cipher = connection.getpeercert(True), connection.cipher()
    assert certificate is not None
    assert cipher is not None
    return certificate, cipher[0]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "iot-auth.cn-shanghai.aliyuncs.com",
        "iot-auth-x.cn-shanghai.aliyuncs.com",
        "a1ExpAkj9Hi.iot-as-mqtt.cn-shanghai.aliyuncs.com",
        "iot-060a1234.mqtt.iothub.aliyuncs.com",
        "iot-auth.ap-southeast-1.aliyuncs.com",
        "iot-auth-x.us-west-1.aliyuncs.com",
        "a1ExpAkj9Hi.iot-as-mqtt.eu-central-1.aliyuncs.com",
    ],
)
def test_the_certificate_names_the_host_asked_for(platform: LocalPlatform, host: str) -> None:
    handshake(platform, host)

    (event,) = platform.record.wait_for("tls")
    # An address is no server name in TLS.
    assert event.details.get("server_name") == (None if host == "127.0.0.1" else host)


@pytest.mark.parametrize("host", ["example.com", "iot-auth.example.com", "x.y.aliyuncs.com"])
def test_the_certificate_names_no_other_host(platform: LocalPlatform, host: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="ostname mismatch"):
        handshake(platform, host)


def test_further_names_may_be_given() -> None:
    with LocalPlatform(certificate=Certificate(names=("board.test", "192.168.7.1"))) as platform:
        handshake(platform, "board.test")
        handshake(platform, "192.168.7.1")
        handshake(platform, "localhost")


def test_the_certificate_is_rsa_and_about_1_kb(platform: LocalPlatform) -> None:
    for host in ("localhost", "iot-auth.ap-northeast-1.aliyuncs.com"):
        der, _ = handshake(platform, host)
        key = x509.load_der_x509_certificate(der).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == 2048
        assert len(der) < 1100


def test_the_root_is_one_der_certificate(platform: LocalPlatform) -> None:
    root = x509.load_der_x509_certificate(platform.ca_der)

    assert root.issuer == root.subject
    assert x509.load_pem_x509_certificate(platform.ca_pem) == root


@pytest.mark.parametrize("cipher", C_SDK_CIPHERS)
def test_takes_static_rsa_with_aes_cbc_over_tls_1_2(platform: LocalPlatform, cipher: str) -> None:
    context = tls_context(platform)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=1")

    assert handshake(platform, context=context)[1] == cipher


def test_prefers_forward_secrecy(platform: LocalPlatform) -> None:
    assert handshake(platform)[1].startswith("ECDHE-RSA-")


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Problem.EXPIRED, "expired"),
        (Problem.NOT_YET_VALID, "not yet valid"),
        (Problem.WRONG_HOST, "ostname mismatch"),
        (Problem.SELF_SIGNED, "self.signed"),
        (Problem.OTHER_CA, "signature failure|unable to get local issuer"),
    ],
)
def test_each_bad_certificate_is_refused_and_noted(problem: Problem, reason: str) -> None:
    with LocalPlatform(certificate=Certificate(problem=problem)) as platform:
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            handshake(platform)
        (event,) = platform.record.wait_for("tls-failed")
        assert event.details["port"] == "mqtt-tls"


def test_the_other_ca_has_the_same_name(platform: LocalPlatform) -> None:
    with LocalPlatform(certificate=Certificate(problem=Problem.OTHER_CA)) as other:
        context = tls_context(other)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        leaf = x509.load_der_x509_certificate(handshake(other, context=context)[0])

    assert leaf.issuer == x509.load_der_x509_certificate(platform.ca_der).subject


def test_dates_may_be_given() -> None:
    before = datetime.datetime(2031, 1, 1)
    with LocalPlatform(certificate=Certificate(not_before=before)) as platform:
        context = tls_context(platform)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        leaf = x509.load_der_x509_certificate(handshake(platform, context=context)[0])

    assert leaf.not_valid_before_utc.replace(tzinfo=None) == before


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_can_speak_old_tls_only(version: ssl.TLSVersion) -> None:
    with LocalPlatform(certificate=Certificate(tls=(version, version))) as platform:
        with pytest.raises(ssl.SSLError):
            handshake(platform)
        old = tls_context(platform)
        old.minimum_version = version
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        handshake(platform, context=old)


def test_can_speak_tls_1_3_only() -> None:
    versions = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
    with LocalPlatform(certificate=Certificate(tls=versions)) as platform:
        assert handshake(platform)[1].startswith("TLS_")


def test_a_folder_keeps_the_ca(tmp_path: Path) -> None:
    roots = set()
    for _ in range(2):
        with LocalPlatform(certificates=tmp_path / "ca") as platform:
            handshake(platform)
            roots.add(platform.ca_der)

    assert roots == {(tmp_path / "ca" / "ca.der").read_bytes()}
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600


def test_two_folders_have_two_cas(tmp_path: Path) -> None:
    assert Authority(tmp_path / "a").der != Authority(tmp_path / "b").der
