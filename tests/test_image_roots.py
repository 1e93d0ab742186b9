"""Trust roots: the shipped ones are those in the table; a user's root is converted."""

from __future__ import annotations

import hashlib
import re
import ssl
from pathlib import Path

import pytest
import trustme

from tools.image import RootError, build_image, list_files, load_root, read_file, shipped_roots
from tools.layout import ROOTS

# Platform docs, "Root certificates" (the platform's SDKs carry the same two).
PUBLISHED = {
    "globalsign-root-ca.der": "EBD41040E4BB3EC742C9E381D31EF2A41A48B6685C96E7CEF3C1DF6CD4331C99",
    "globalsign-root-r6.der": "2CABEAFE37D06CA22ABA7391C0033D25982952C453647349763A3AB5AD6CCF69",
}


def table() -> dict[str, tuple[str, str, str]]:
    """File -> subject, end of validity and SHA-256, from firmware/roots/README.md."""
    rows = re.findall(
        r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| `([0-9A-F]{64})` \|$",
        (ROOTS / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    return {file: (subject, end, digest) for file, subject, end, digest in rows}


def test_the_table_lists_every_shipped_root() -> None:
    assert set(table()) == {path.name for path in shipped_roots()} == set(PUBLISHED)


@pytest.mark.parametrize("path", shipped_roots(), ids=lambda path: path.name)
def test_a_shipped_root_is_the_published_one(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest().upper()
    assert digest == PUBLISHED[path.name] == table()[path.name][2]


@pytest.mark.parametrize("path", shipped_roots(), ids=lambda path: path.name)
def test_the_table_matches_the_certificate(path: Path) -> None:
    subject, end, _ = table()[path.name]
    root = load_root(path)
    assert subject.removesuffix(" (R1)") in root.subject
    assert f"{root.valid_to:%Y-%m-%d %H:%M:%S}" == end


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_pem_and_der_give_the_same_root(tmp_path: Path, authority: trustme.CA) -> None:
    pem = authority.cert_pem.bytes()
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    (tmp_path / "own.pem").write_bytes(pem)
    (tmp_path / "own.crt").write_bytes(der)
    first, second = load_root(tmp_path / "own.pem"), load_root(tmp_path / "own.crt")
    assert first == second
    assert (first.name, first.der) == ("own.der", der)
    assert first.sha256 == hashlib.sha256(der).hexdigest().upper()


def test_a_root_of_the_user_is_on_the_image_as_der(tmp_path: Path, authority: trustme.CA) -> None:
    path = tmp_path / "own.pem"
    path.write_bytes(authority.cert_pem.bytes())
    image = build_image(lib=None, roots=[*shipped_roots(), path])
    assert read_file(image, "/roots/own.der") == load_root(path).der
    assert sum(name.startswith("/roots/") for name in list_files(image)) == 3


def test_roots_can_be_left_out() -> None:
    assert not any("roots" in name for name in list_files(build_image(lib=None, roots=[])))


def test_a_file_that_is_not_a_certificate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.pem"
    for content in (b"", b"text", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"):
        path.write_bytes(content)
        with pytest.raises(RootError, match=re.escape(f"{path}: not a certificate")):
            load_root(path)


def test_a_bundle_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    path = tmp_path / "own.pem"
    path.write_bytes(authority.cert_pem.bytes() * 2)
    with pytest.raises(RootError, match="2 certificates"):
        load_root(path)


def test_a_servers_certificate_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(authority.issue_cert("iot.test").cert_chain_pems[0].bytes())
    with pytest.raises(RootError, match="not a certificate authority"):
        load_root(path)


def test_a_missing_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="No such file"):
        load_root(tmp_path / "none.pem")
