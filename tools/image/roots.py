"""Trust roots: the ones that are shipped, and the ones a user adds."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tools.layout import ROOTS


class RootError(Exception):
    """A file that is no single certificate authority."""


@dataclass(frozen=True)
class Root:
    """One trust root. name: file name on the board."""

    name: str
    der: bytes
    subject: str
    valid_to: datetime

    @property
    def sha256(self) -> str:
        """Of the DER encoding: 64 upper-case hex digits."""
        return hashlib.sha256(self.der).hexdigest().upper()


def load_root(path: Path) -> Root:
    """Read one certificate, PEM or DER. Raises RootError."""
    # Only making images with roots needs it, and it takes longer to load than all the rest.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        data = path.read_bytes()
    except OSError as e:
        raise RootError(f"{path}: {e.strerror or e}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if b"-----BEGIN" in data:
                certificates = x509.load_pem_x509_certificates(data)
            else:
                certificates = [x509.load_der_x509_certificate(data)]
        except ValueError:
            raise RootError(f"{path}: not a certificate; expected PEM or DER") from None
    if len(certificates) != 1:
        raise RootError(f"{path}: {len(certificates)} certificates; expected exactly one")
    certificate = certificates[0]
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        authority = constraints.value.ca
    except x509.ExtensionNotFound:
        authority = certificate.issuer == certificate.subject  # version 1 certificates
    if not authority:
        raise RootError(f"{path}: not a certificate authority (basicConstraints CA is false)")
    return Root(
        path.stem + ".der",
        certificate.public_bytes(Encoding.DER),
        certificate.subject.rfc4514_string(),
        certificate.not_valid_after_utc,
    )


def shipped_roots() -> list[Path]:
    """The roots in firmware/roots/."""
    return sorted(ROOTS.glob("*.der"))
