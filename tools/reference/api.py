"""docs/api.md: signatures from the stubs, text from the docstrings."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence

from tools.layout import PACKAGE
from tools.reference.sources import (
    Function,
    Module,
    definitions,
    read,
    real_definitions,
    source_of,
    stubs,
)

WIDTH = 99
HEAD = """\
# Reference

Made by `make reference` from the docstrings of `lib/aliyun_iot` and the types in `typings`; change
it there. What is not listed here is the package's own business and may change in any version.
Durations are milliseconds and sizes bytes unless something else is said.
"""


class Undocumented(Exception):
    """A public name without a word on it."""


def api() -> str:
    """The whole page. Raises Undocumented."""
    return "\n".join([HEAD, *(_module(stub) for stub in stubs())]).rstrip() + "\n"


def _module(stub: Module) -> str:
    source = source_of(stub)
    real = real_definitions(source)
    handed_on = {
        alias.name: node
        for node in source.tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    parts = [f"## {stub.name}", prose(source.doc), _types(stub)]
    for path, node in definitions(stub.tree.body):
        if isinstance(node, ast.Assign | ast.ImportFrom) or path.endswith(".__init__"):
            continue  # a type; what is told elsewhere; what the class tells
        lines = source.lines
        if path in handed_on and handed_on[path].module:
            lines = read(PACKAGE / f"{handed_on[path].module}.py", PACKAGE).lines
        doc = _doc(path, node, real.get(path), stub, lines)
        if not doc:
            raise Undocumented(f"{stub.name}: {path}: no docstring")
        parts.append(f"{'####' if '.' in path else '###'} {path}")
        if isinstance(node, ast.AnnAssign):
            parts.append(prose(f"`{ast.unparse(node.annotation)}`. {doc}"))
        else:
            parts.append(f"```python\n{_signature(path, node)}\n```")
            parts.append(prose(doc, _names(node)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _types(stub: Module) -> str:
    """The names that a stub gives to types."""
    named = [node for node in stub.tree.body if isinstance(node, ast.Assign)]
    lines = [f"- `{ast.unparse(node.targets[0])}`: `{ast.unparse(node.value)}`" for node in named]
    return "\n".join(["Types:", "", *lines]) if lines else ""


def _doc(path: str, node: ast.stmt, real: ast.stmt | None, stub: Module, lines: list[str]) -> str:
    for said in (real, node):
        if isinstance(said, Function | ast.ClassDef):
            doc = ast.get_docstring(said)
            if doc:
                return doc
    if isinstance(real, ast.Assign | ast.AnnAssign):
        _, mark, comment = lines[real.lineno - 1].partition("  # ")
        if mark:
            return comment[0].upper() + comment[1:].rstrip(".") + "."
    for body in (_siblings(real, lines), _siblings(node, stub.lines)):
        if body:
            return body
    if path == "__version__":
        return "The package's version."
    if isinstance(node, ast.AnnAssign) and "." in path:
        return _of_class(path, stub)
    return ""


def _siblings(node: ast.stmt | None, lines: list[str]) -> str:
    """The string that follows an attribute, its docstring."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.end_lineno is None:
        return ""
    indent = " " * node.col_offset
    rest = []
    for line in lines[node.end_lineno :]:
        if line.strip() and len(line) - len(line.lstrip()) < len(indent):
            break
        rest.append(line[len(indent) :])
    try:
        first = ast.parse("\n".join(rest)).body[0]
    except (SyntaxError, IndexError):
        return ""
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return " ".join(str(first.value.value).split())
    return ""


def _of_class(path: str, stub: Module) -> str:
    """What the class's docstring says of an attribute that is a parameter, too."""
    owner, _, name = path.partition(".")
    doc = _class_docs(stub).get(owner, "")
    return f"See `{owner}`." if re.search(rf"\b{name}\b", doc) else ""


def _class_docs(stub: Module) -> dict[str, str]:
    real = real_definitions(source_of(stub))
    return {
        path: ast.get_docstring(node) or ""
        for path, node in real.items()
        if isinstance(node, ast.ClassDef)
    }


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef):
        for member in node.body:
            if isinstance(member, Function) and member.name == "__init__":
                return _names(member)
    if isinstance(node, Function):
        spec = node.args
        return [argument.arg for argument in [*spec.args, *spec.kwonlyargs]]
    return []


def _signature(path: str, node: ast.stmt) -> str:
    """As in a stub; one parameter a line where it is too long for one line."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        for member in node.body:
            if isinstance(member, Function) and member.name == "__init__" and not bases:
                return _fold(f"class {path}", _arguments(member, bound=True), "")
        return f"class {path}({bases})" if bases else f"class {path}"
    assert isinstance(node, Function)
    static = any(ast.unparse(d) == "staticmethod" for d in node.decorator_list)
    start = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return _fold(start + path, _arguments(node, "." in path and not static), returns)


def _arguments(node: Function, bound: bool) -> list[str]:
    spec = node.args
    defaults = [None] * (len(spec.args) - len(spec.defaults)) + list(spec.defaults)
    found = []
    for argument, default in zip(spec.args, defaults, strict=True):
        end = f" = {ast.unparse(default)}" if default else ""
        kind = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
        found.append(argument.arg + kind + end)
    if spec.vararg:
        found.append("*" + ast.unparse(spec.vararg))
    return found[1:] if bound else found


def _fold(start: str, arguments: list[str], end: str) -> str:
    line = f"{start}({', '.join(arguments)}){end}"
    if len(line) <= WIDTH:
        return line
    return f"{start}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){end}"


def prose(doc: str, names: Sequence[str] = ()) -> str:
    """A docstring as Markdown: its parameters as a list, indented parts as they are."""
    blocks = [block.strip("\n") for block in re.split(r"\n[ ]*\n", doc)]
    return "\n\n".join(
        block if block.startswith("    ") else _paragraphs(block, names)
        for block in blocks
        if block.strip()
    )


def _paragraphs(block: str, names: Sequence[str]) -> str:
    # A sentence at the beginning of a line may begin something new (\0); another one goes on.
    text = " ".join(re.sub(r"\.\n(?=[A-Z])", ".\0", block).split())
    one = rf"(?:{'|'.join(names) or '(?!)'})(?:\([^)]*\))?"  # "feed()"
    item = rf"{one}(?:, {one})*: "
    out: list[str] = []
    for part in re.split(rf"(?<=\.)[ \0](?={item}|Raises |Returns )", text):
        match = re.match(item, part)
        if match:
            told, _, more = part[match.end() :].partition("\0")
            out += [f"- **{match[0][:-2]}**: {told}", more]
        else:
            out.append(part)
    return _joined([_wrap(part.replace("\0", " ")) for part in out if part])


def _joined(paragraphs: list[str]) -> str:
    """Paragraphs with an empty line between them, but for items of one list."""
    text = ""
    for before, part in zip(["", *paragraphs], paragraphs, strict=False):
        gap = "\n" if before.startswith("- ") and part.startswith("- ") else "\n\n"
        text += (gap if text else "") + part
    return text


def _wrap(text: str) -> str:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
