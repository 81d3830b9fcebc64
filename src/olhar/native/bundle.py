"""JavaScript modules that lie in files → one script, which no browser has to load anything for.

Each module becomes a function that runs once and gives what it exports; an import takes from that. Only
what olhar's own modules use is understood: `import { a, b } from "./name.js";`, alone in its line, and
`export` before `function`, `async function`, `class` or `const`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def bundle(first: str, folders: Sequence[Path]) -> str:
    """The module `first`, without its suffix, and all that it needs, as one script."""
    parts: dict[str, str] = {}
    _add(first, folders, parts)
    return '"use strict";\n' + "\n".join(parts.values()) + "\n"


def _add(name: str, folders: Sequence[Path], parts: dict[str, str]) -> None:
    if name in parts:
        return
    path = next(one for folder in folders if (one := folder / f"{name}.js").is_file())
    text = path.read_text(encoding="utf-8")
    for _names, needed in _IMPORT.findall(text):
        _add(needed, folders, parts)
    text = _IMPORT.sub(r"const \1 = from_\2;\n", text)
    exported = ", ".join(name for _whole, name in _EXPORT.findall(text))
    text = _EXPORT.sub(r"\1", text)
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE), path
    parts[name] = f"const from_{name} = (() => {{\n{text}return {{ {exported} }};\n}})();"
