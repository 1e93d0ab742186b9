"""What a maintainer relies on: workflows, hooks, issue forms, and correct references in docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tools.iot_platform.console.advice import _REGISTER
from tools.iot_platform.rules.codes import MESSAGES
from tools.layout import ROOT

TARGETS = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE_LINES = 130  # two pages; the generated picture does not count
SUBJECT = 72


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def runs(workflow: Path) -> list[str]:
    jobs = read(workflow)["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_nothing_but_make(workflow: Path) -> None:
    lines = runs(workflow)
    assert lines
    for line in lines:
        assert line.split()[0] == "make", line
        assert line.split()[1] in TARGETS, line


def test_ci_run_calls_what_the_workflows_call() -> None:
    """Two need GitHub itself: building MicroPython's releases, and publishing."""
    called = {line.split()[1] for path in WORKFLOWS for line in runs(path)}
    here = set(re.findall(r"(?m)^make ([a-z-]+)", (ROOT / ".ci" / "run").read_text("utf-8")))
    assert called - here == {"port", "publish"}


def test_the_tests_run_on_every_supported_python() -> None:
    jobs = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    versions = jobs["test"]["strategy"]["matrix"]["python"]
    assert versions == ["3.10", "3.11", "3.12", "3.13"]
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'target-version = "py310"' in text


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/ISSUE_TEMPLATE/[!c]*.yml")), ids=str)
def test_an_issue_form_is_valid(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    kinds = {"markdown", "textarea", "input", "dropdown", "checkboxes"}
    assert {part["type"] for part in form["body"]} <= kinds
    names = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(names) == len(set(names)) > 0
    assert all("label" in part["attributes"] for part in form["body"] if "id" in part)


@pytest.mark.parametrize(
    ("subject", "good"),
    [
        ("session: keep the ping's own time", True),
        ("docs, tests: the same words", True),
        ("Merge branch 'console'", True),
        ("fixed it", False),
        ("session:no space", False),
        ("session: " + "x" * SUBJECT, False),
        ("session: fine\n\nfixed it: at last", True),
        ("fixed it\n\nsession: fine", False),
    ],
)
def test_the_hook_recognizes_a_good_subject(subject: str, good: bool) -> None:
    hooks = read(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    (hook,) = [hook for hook in hooks if hook["id"] == "subject"]
    assert hook["args"] == ["--multiline", "--negate"]  # the message must match
    assert bool(re.search(hook["entry"].encode(), subject.encode(), re.MULTILINE)) == good


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_names_only_existing_files_and_targets(document: Path) -> None:
    text = document.read_text("utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / link).exists(), link
    plain = re.sub(r"(?s)```.*?```", "", text)
    commands = re.findall(r"`(make [^`A-Z][^`]*)`", plain) + re.findall(
        r"(?m)^(make [a-z].*)", text
    )
    for command in commands:
        words = re.findall(r"(?<= )[a-z-]+(?![^ ]*=)", command.partition("#")[0])
        assert words and set(words) <= TARGETS | {"make"}, command
    for path in re.findall(r"`((?:tools|tests|lib|docs)/[\w./*-]+)`", text):
        assert any(ROOT.glob(path.rstrip("/"))), path
    for name in re.findall(r"`(test_\w+\.py)`", text):
        assert (ROOT / "tests" / name).exists(), name


def anchors(document: Path) -> set[str]:
    """What a link may name after "#": the headings, as GitHub writes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", document.read_text("utf-8"))
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_links_only_to_existing_sections(document: Path) -> None:
    text = document.read_text("utf-8")
    for link, anchor in re.findall(r"\]\(([^)#:]*\.md)?#([^)]+)\)", text):
        assert anchor in anchors(document.parent / link if link else document), anchor
    # A section name in quotation marks would go stale unnoticed: use a link.
    assert not re.search(r"(?:README|\.md)\)?,\s+\"", text)


def test_the_architecture_fits_two_pages() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    told = re.sub(r"(?s)```mermaid.*?```", "", text)
    assert len(told.splitlines()) <= ARCHITECTURE_LINES


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 200


def test_the_example_in_contributing_is_correct() -> None:
    """CONTRIBUTING.md names every place where a result code appears."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for path in (
        "lib/aliyun_iot/registration.py",
        "tests/test_registration.py",
        "docs/errors.md",
        "tools/iot_platform/rules/codes.py",
        "tools/iot_platform/console/advice.py",
        "tools/iot_platform/console/pages/faults.js",
        "lib/aliyun_iot/gateway/codes.py",
    ):
        assert path in text
        assert "6600" in (ROOT / path).read_text("utf-8"), path
    assert "_ADVICE" in (ROOT / "lib/aliyun_iot/registration.py").read_text("utf-8")
    test = "test_each_code_becomes_a_typed_error_with_advice"
    tests = (ROOT / "tests/test_registration.py").read_text("utf-8")
    assert test in text and f"def {test}" in tests


def test_a_result_code_is_in_every_place_where_it_belongs() -> None:
    """Every code that the device has advice for is in docs/errors.md and in the console."""
    source = (ROOT / "lib/aliyun_iot/registration.py").read_text("utf-8")
    codes = re.findall(r"(?m)^(\d{3,4}) ", source)
    errors = (ROOT / "docs/errors.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `RefusedError` ([\d, ]+) \|", errors)
    assert codes == sorted(codes) and "6600" in codes
    assert set(codes) == set(", ".join(rows).split(", "))
    assert {int(code) for code in codes} <= set(_REGISTER)
    assert {int(code) for code in codes} <= set(MESSAGES)
