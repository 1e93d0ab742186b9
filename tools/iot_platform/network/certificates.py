"""The local platform's own CA and its server certificates, good ones and bad ones.

The default certificate is RSA (the platform's C SDKs know nothing else), about 1 kB, and names
localhost, 127.0.0.1 and the platform's hosts of one region. A client that asks for a host of
another region (SNI) gets a certificate for that region, so the size does not grow with regions.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import re
import ssl
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tools.private import write_private

_REGION = re.compile(r"(?:iot-auth(?:-x)?|[^.]+\.iot-as-mqtt)\.([a-z0-9-]+)\.aliyuncs\.com")
_ORGANISATION = "Local IoT Platform"
# With the static RSA key exchange and AES-CBC that the platform's C SDKs offer, and nothing else.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:kRSA+AESGCM:kRSA+AES:!aNULL:!PSK:!SRP"


class Problem(Enum):
    """What may be wrong with a server certificate; a client must refuse each."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WRONG_HOST = "names another host"
    SELF_SIGNED = "self-signed"
    OTHER_CA = "issued by another CA of the same name"


@dataclass(frozen=True)
class Certificate:
    """What the platform's TLS servers show.

    names: further host names or addresses; region: of the platform's own names in the default
    certificate; not_before, not_after: None: 2000 and 3000; problem: for negative tests;
    tls: lowest and highest version, as an older page of the platform lists 1.0 to 1.2 and all
    advise 1.2.
    """

    names: tuple[str, ...] = ()
    region: str = "cn-shanghai"
    not_before: datetime.datetime | None = None
    not_after: datetime.datetime | None = None
    problem: Problem | None = None
    tls: tuple[ssl.TLSVersion, ssl.TLSVersion] = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)


def platform_names(region: str) -> tuple[str, ...]:
    """The platform's host names in a region: registration, legacy public and new instances."""
    return (
        f"iot-auth.{region}.aliyuncs.com",
        f"iot-auth-x.{region}.aliyuncs.com",
        f"*.iot-as-mqtt.{region}.aliyuncs.com",
        "*.mqtt.iothub.aliyuncs.com",
    )


class Authority:
    """A certificate authority, kept in a folder or in memory only."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: where ca.pem, ca.der and ca.key lie; made if absent.

        Raises OSError, and ValueError for files that are no CA.
        """
        self._contexts: dict[tuple[Certificate, str], ssl.SSLContext] = {}
        if folder is not None and (folder / "ca.key").exists():
            certificate, key = (folder / "ca.pem").read_bytes(), (folder / "ca.key").read_bytes()
            try:
                self._ca = trustme.CA.from_pem(certificate, key)
            except ValueError:
                raise ValueError(f"{folder}: ca.pem or ca.key cannot be read") from None
            return
        self._ca = _new_ca()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_private(folder / "ca.key", self._ca.private_key_pem.bytes())
            (folder / "ca.pem").write_bytes(self.pem)
            (folder / "ca.der").write_bytes(self.der)

    @property
    def pem(self) -> bytes:
        """The CA's own certificate, PEM."""
        return self._ca.cert_pem.bytes()

    @property
    def der(self) -> bytes:
        """The CA's own certificate, DER: a trust root for the device."""
        return x509.load_pem_x509_certificate(self.pem).public_bytes(Encoding.DER)

    def server_context(self, certificate: Certificate) -> ssl.SSLContext:
        """A server's TLS settings; the certificate follows the region of the host asked for."""
        context = self._context(certificate, certificate.region)

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            connection.requested_name = name  # type: ignore[attr-defined]  # for the record
            match = _REGION.fullmatch(name or "")
            if match and match[1] != certificate.region:
                connection.context = self._context(certificate, match[1])

        context.sni_callback = choose
        return context

    def _context(self, certificate: Certificate, region: str) -> ssl.SSLContext:
        context = self._contexts.get((certificate, region))
        if context is None:
            context = self._contexts[certificate, region] = _server_context(certificate.tls)
            names = ("localhost", "127.0.0.1", *certificate.names, *platform_names(region))
            chain = self._issue(certificate, tuple(dict.fromkeys(names)))
            with tempfile.TemporaryDirectory() as folder:  # ssl reads keys from files only
                path = Path(folder) / "server.pem"
                path.write_bytes(chain)
                context.load_cert_chain(path)
        return context

    def _issue(self, certificate: Certificate, names: Sequence[str]) -> bytes:
        now = datetime.datetime.now()
        before, after = certificate.not_before, certificate.not_after
        issuer = self._ca
        if certificate.problem is Problem.SELF_SIGNED:
            return _self_signed(names)
        if certificate.problem is Problem.OTHER_CA:
            issuer = _new_ca()
        elif certificate.problem is Problem.WRONG_HOST:
            names = ["elsewhere.example.com"]
        elif certificate.problem is Problem.EXPIRED:
            before, after = now - datetime.timedelta(days=60), now - datetime.timedelta(days=30)
        elif certificate.problem is Problem.NOT_YET_VALID:
            before, after = now + datetime.timedelta(days=30), now + datetime.timedelta(days=60)
        leaf = issuer.issue_cert(
            *names,
            organization_name=_ORGANISATION,
            organization_unit_name="server",
            not_before=before,
            not_after=after,
            key_type=trustme.KeyType.RSA,
        )
        return leaf.private_key_and_cert_chain_pem.bytes()


@functools.lru_cache(maxsize=1)
def shared_authority() -> Authority:
    """One CA in memory for the whole process: RSA keys take a tenth of a second each."""
    return Authority()


def _new_ca() -> trustme.CA:
    return trustme.CA(
        organization_name=_ORGANISATION,
        organization_unit_name="root",
        key_type=trustme.KeyType.RSA,
    )


def _server_context(versions: tuple[ssl.TLSVersion, ssl.TLSVersion]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lowest, highest = versions
    level = 1 if highest >= ssl.TLSVersion.TLSv1_2 else 0  # level 1 forbids TLS 1.0 and 1.1
    context.set_ciphers(f"{_CIPHERS}:@SECLEVEL={level}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1, wanted here
        context.minimum_version, context.maximum_version = lowest, highest
    return context


def _self_signed(names: Sequence[str]) -> bytes:
    """A certificate that only itself vouches for, with its key; trustme makes none."""
    ca = trustme.CA(key_type=trustme.KeyType.RSA)
    key = load_pem_private_key(ca.private_key_pem.bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)  # as asked for
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, _ORGANISATION)])
    entries = [_general_name(text) for text in names]
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(trustme.DEFAULT_NOT_BEFORE)
        .not_valid_after(trustme.DEFAULT_EXPIRY)
        .add_extension(x509.SubjectAlternativeName(entries), critical=False)
        .sign(key, hashes.SHA256())
    )
    return ca.private_key_pem.bytes() + leaf.public_bytes(Encoding.PEM)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
