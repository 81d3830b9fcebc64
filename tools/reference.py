"""The reference, made from the code: the command line, the Python names, the HTTP server.

Texts that olhar translates are in the page's language; docstrings and the HTTP description are in
English in both.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import olhar
from olhar.cli import build_parser
from olhar.cli.usage import translated_usage
from olhar.i18n import using

_WORDS = {
    "en": {
        "cli": "Command line",
        "cli_intro": "What `olhar COMMAND --help` prints, made from the code.",
        "python": "Python",
        "python_intro": "The names of the package `olhar`, made from the code.",
        "http": "HTTP",
        "http_intro": "Made from the description that the server itself gives at `/openapi.json`. "
        "[Serving](../serving.md) says how they are meant.",
        "parameters": "Parameters",
        "body": "Body",
        "answer": "Answer",
        "refusals": "Refusals",
        "schemas": "Forms of answers",
        "members": "Members",
    },
    "pt": {
        "cli": "Linha de comando",
        "cli_intro": "O que `olhar COMANDO --help` mostra, gerado a partir do código.",
        "python": "Python",
        "python_intro": "Os nomes do pacote `olhar`, gerados a partir do código. "
        "As descrições estão em inglês, como no código.",
        "http": "HTTP",
        "http_intro": "Gerado a partir da descrição que o próprio servidor dá em `/openapi.json`, "
        "que é em inglês. [Servir](../serving.md) explica o sentido de cada endereço.",
        "parameters": "Parâmetros",
        "body": "Corpo",
        "answer": "Resposta",
        "refusals": "Recusas",
        "schemas": "Formas das respostas",
        "members": "Membros",
    },
}
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")


def write_all(folder: Path, language: str) -> None:
    """Write cli.md, python.md and http.md into a folder, in "en" or "pt"."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in (("cli", cli_page), ("python", python_page), ("http", http_page)):
        (folder / f"{name}.md").write_text(page(language), encoding="utf-8", newline="\n")


def commands(language: str) -> Iterator[tuple[str, str]]:
    """Each command, and what its --help prints."""
    os.environ["COLUMNS"] = "96"
    with using({"en": "en", "pt": "pt_BR"}[language]), translated_usage():
        yield from _helps("olhar", build_parser())


def _helps(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    yield name, parser.format_help().rstrip()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                yield from _helps(f"{name} {word}", child)


def cli_page(language: str) -> str:
    """Every command's --help."""
    words = _WORDS[language]
    parts = [f"# {words['cli']}", words["cli_intro"]]
    for name, text in commands(language):
        parts.append(f"## {name}\n\n```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def python_page(language: str) -> str:
    """Every public name with its signature and docstring."""
    words = _WORDS[language]
    parts = [f"# {words['python']}", words["python_intro"]]
    for name in olhar.__all__:
        value = getattr(olhar, name)
        if name.startswith("_"):
            continue
        parts += [f"## olhar.{name}", _signature(name, value), _docstring(value)]
        if inspect.isclass(value) and not issubclass(value, Exception):
            parts += [_member(child, one) for child, one in _members(value)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    for name, value in vars(kind).items():
        kinds = property | cached_property | classmethod | staticmethod
        shown = isinstance(value, kinds) or inspect.isfunction(value)
        if shown and not name.startswith("_"):
            yield name, value


def _member(name: str, value: Any) -> str:
    attribute = isinstance(value, property | cached_property)
    if isinstance(value, property):
        plain = value.fget
    else:
        plain = getattr(value, "func" if attribute else "__func__", value)
    head = f"### {name}" if attribute else f"### {name}()"
    code = "" if attribute else _signature(name, plain)
    return "\n\n".join(part for part in (head, code, _docstring(plain)) if part)


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    kept = [one for one in signature.parameters.values() if one.name not in {"self", "cls"}]
    returns = signature.return_annotation
    arrow = f" -> {returns}" if isinstance(returns, str) and not inspect.isclass(value) else ""
    # Annotations are strings, which are shown in quotes; defaults keep theirs.
    inside = ",\n".join("    " + re.sub(r": '([^']*)'", r": \1", one) for one in _marked(kept))
    return f"```python\n{name}({chr(10) + inside + chr(10) if inside else ''}){arrow}\n```"


def _marked(parameters: list[inspect.Parameter]) -> Iterator[str]:
    """Parameters, with the star before those that are given by name."""
    starred = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters)
    for one in parameters:
        if one.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            yield "*"
            starred = True
        yield str(one)


def _docstring(value: Any) -> str:
    """A Google-form docstring as Markdown: its sections become lists."""
    parts, section = [], ""
    for line in (inspect.getdoc(value) or "").splitlines():
        heading = _SECTION.match(line)
        entry = re.match(r"^    (\*{0,2}[\w ,]+): (.*)$", line)
        if heading:
            section = heading[1]
            parts += ["", f"**{section}**", ""]
        elif section and entry:
            parts.append(f"- `{entry[1]}`: {entry[2]}")
        elif section and line.startswith("    "):
            parts.append(f"    {line.strip()}")
        else:
            section = section if not line else ""
            parts.append(line)
    return "\n".join(parts).strip()


def http_page(language: str) -> str:
    """Every path of the server, from its own description."""
    words, document = _WORDS[language], _description()
    parts = [f"# {words['http']}", words["http_intro"]]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"## {method.upper()} {path}\n\n{operation['summary']}.")
            parts += list(_operation(operation, words))
    refusals = document["paths"]["/predict"]["post"]["responses"]
    lines = [
        f"- `{status}`: {one['description']}" for status, one in refusals.items() if status != "200"
    ]
    parts.append(f"## {words['refusals']}\n\n" + "\n".join(lines))
    parts.append(f"## {words['schemas']}")
    parts += [
        f"- {_schema_line(name, schema)}"
        for name, schema in document["components"]["schemas"].items()
    ]
    return "\n\n".join(parts) + "\n"


def _operation(operation: dict[str, Any], words: dict[str, str]) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    if parameters:
        lines = [
            f"- `{one['name']}` ({one['in']}, {_kind(one['schema'])})."
            + f" {one.get('description', '')}".rstrip()
            for one in parameters
        ]
        yield f"**{words['parameters']}**\n\n" + "\n".join(lines)
    body = operation.get("requestBody")
    if body:
        kinds = [f"- `{kind}`: {_kind(form['schema'])}" for kind, form in body["content"].items()]
        yield f"**{words['body']}**\n\n" + "\n".join(kinds)
    answers = operation["responses"]["200"]["content"]
    kinds = [f"- `{kind}`: {_kind(form['schema'])}" for kind, form in answers.items()]
    yield f"**{words['answer']}** (200)\n\n" + "\n".join(kinds)


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rsplit('/', 1)[-1]}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " · ".join(_kind(one) for one in schema["anyOf"])
    if "properties" in schema:
        return "object: " + ", ".join(f"`{name}`" for name in schema["properties"])
    if schema.get("items"):
        return f"array of {_kind(schema['items'])}"
    bounds = [str(schema[bound]) for bound in ("minimum", "maximum") if bound in schema]
    return str(schema.get("format", schema.get("type", ""))) + (
        f", {' to '.join(bounds)}" if bounds else ""
    )


def _schema_line(name: str, schema: dict[str, Any]) -> str:
    said = f" {schema['description']}" if "description" in schema else ""
    return f"`{name}`:{said} {_kind(schema)}"


def _description() -> dict[str, Any]:
    """What a server with one small model says of itself; the model has no weights worth keeping."""
    from types import SimpleNamespace

    from olhar.serving.openapi import openapi
    from olhar.serving.settings import ServeSettings, ServeState

    model: Any = SimpleNamespace(
        name="cats", classifier=SimpleNamespace(class_names=("cat", "dog"))
    )
    batcher: Any = None
    return openapi(ServeState({"cats": model}, ServeSettings(), batcher))
