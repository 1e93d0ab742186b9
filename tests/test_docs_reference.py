"""docs/api.md, the type stubs and the picture of the modules match the package."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from textwrap import dedent

import pytest

from tools.layout import ROOT
from tools.reference.__main__ import PICTURED, stale
from tools.reference.api import prose
from tools.reference.house import pictures, placed
from tools.reference.sources import Module, differences, read, source_of, stubs

ARCHITECTURE = PICTURED[0]


def test_the_generated_files_are_up_to_date() -> None:
    assert stale() == [], "run make reference"
    assert placed(ARCHITECTURE.read_text("utf-8")) is not None


@pytest.mark.parametrize("stub", stubs(), ids=lambda stub: stub.name)
def test_a_stub_matches_its_module(stub: Module) -> None:
    assert differences(stub, source_of(stub)) == []


def module(folder: Path, name: str, text: str) -> Module:
    path = folder / name
    path.write_text(dedent(text), "utf-8")
    return read(path, folder)


@pytest.mark.parametrize(
    ("stub", "said"),
    [
        ("def f(a: int, b: int = 2) -> None: ...", "other parameters: a, b=1"),
        ("def f(b: int, a: int = 1) -> None: ...", "other parameters: a, b=1"),
        ("def f(a: int, b: int) -> None: ...", "other parameters: a, b=1"),
        ("async def f(a: int, b: int = 1) -> None: ...", "a coroutine here"),
        ("def f(a: int, b: int = ...) -> None: ...\ndef g() -> None: ...", "g: no such function"),
        ("def f(a: int, b: int = ...) -> None: ...\nh: int", "h: no such attribute"),
    ],
)
def test_a_stub_that_differs_is_found(tmp_path: Path, stub: str, said: str) -> None:
    source = module(tmp_path, "thing.py", "def f(a, b=1):\n    pass\n")
    (found,) = differences(module(tmp_path, "thing.pyi", stub), source)
    assert said in found


def test_a_public_name_without_a_stub_is_found(tmp_path: Path) -> None:
    source = module(tmp_path, "hmac.py", "def hmac_hex():\n    pass\ndef _own():\n    pass\n")
    (found,) = differences(module(tmp_path, "hmac.pyi", ""), source)
    assert found == "aliyun_iot.hmac: hmac_hex: public, but not in typings/"


def test_the_stubs_are_marked_as_types() -> None:
    assert (ROOT / "typings" / "aliyun_iot" / "py.typed").exists()


def test_the_picture_distinguishes_imports_from_modules_loaded_in_a_phase() -> None:
    lines = pictures().splitlines()
    assert "    session --> wire" in lines
    assert "    device -.-> identity" in lines
    assert "    registration -.-> registration_mqtt" in lines  # its name is built at run time
    assert "    boot_py[boot.py] -.-> network" in lines


def test_parameters_become_a_list_and_exceptions_a_paragraph() -> None:
    doc = """Do it.

    path: where to, str; a long
        story. force: whether to ask.
    Returns a number. Raises
    OSError.
    """
    assert prose(cleandoc(doc), ["path", "force"]) == (
        "Do it.\n\n- **path**: where to, str; a long story.\n- **force**: whether to ask.\n\n"
        "Returns a number.\n\nRaises OSError."
    )
