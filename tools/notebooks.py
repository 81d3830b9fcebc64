"""Tutorials: run a notebook, keep small outputs in it, and show it as a page.

    python tools/notebooks.py docs/tutorials/1-first-classifier.ipynb ...

runs each notebook in a temporary folder and writes its outputs back. A name that ends in .pt.ipynb
runs in Portuguese. Pictures are made small, so that notebooks can be kept in the repository.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PICTURE_WIDTH, PICTURE_COLOURS = 640, 48
_PROGRESS = re.compile(r"━|-:--:--|\s\d:\d\d:\d\d(\s|$)")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(folder: Path, language: str) -> dict[str, str]:
    """Variables for a kernel: `olhar` is found as a command, and speaks one language."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    if shutil.which("olhar") is None and os.name == "posix":
        script = bin_folder / "olhar"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m olhar "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    path = os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    quiet = {"NO_COLOR": "1", "PYTHONWARNINGS": "ignore", "COLUMNS": "100"}
    return {**os.environ, **quiet, "PATH": path, "PYTHONPATH": source, "OLHAR_LANG": language}


@contextmanager
def kernel(language: str, timeout_s: int = 900) -> Iterator[Callable[[Path], Any]]:
    """A function that runs a notebook, and gives it with its outputs.

    One kernel runs one notebook after the other, each with no names, in an empty folder and with
    the environment that the first had; what libraries it has imported stays imported.

    Raises:
        CellExecutionError: a cell that raises.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place)
        variables = environment(folder, language)
        client = NotebookClient(
            nbformat.v4.new_notebook(),
            timeout=timeout_s,
            kernel_name="python3",
            resources={"metadata": {"path": place}},
        )

        def run(path: Path) -> Any:
            work = folder / path.stem
            work.mkdir()
            for notebook in (_begin(work, variables), nbformat.read(path, as_version=4)):
                client.nb = notebook
                client.execute(cleanup_kc=False)
            forget_places(client.nb, str(work))
            return client.nb

        with client.setup_kernel(env=variables):
            yield run


def _begin(work: Path, variables: dict[str, str]) -> Any:
    """A notebook that makes a used kernel a new one."""
    code = (
        "%reset -f\nimport os\nos.environ.clear()\n"
        f"os.environ.update({variables!r})\nos.chdir({str(work)!r})\ndel os"
    )
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])


def forget_places(notebook: Any, work: str) -> None:
    """Take the folders of this machine out of what was shown: the temporary one, and that of data."""
    places = {f"{work}{os.sep}": "", os.environ.get("OLHAR_DATA") or "\0": "$OLHAR_DATA"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            shown = output if output.output_type == "stream" else output.get("data", {})
            for kind in {"text", "text/html", "text/plain"} & set(shown):
                for place, name in places.items():
                    shown[kind] = shown[kind].replace(place, name)


def plain_text(text: str) -> str:
    """What a terminal would show in the end: no colours, and of a line written over, the last."""
    lines = _CONTROL.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rsplit("\r", 1)[-1].rstrip() for line in lines)


def without_progress(text: str) -> str:
    """The text without the lines of progress bars."""
    return "".join(line for line in text.splitlines(keepends=True) if not _PROGRESS.search(line))


def small_picture(encoded: str) -> str:
    """A PNG in base64, at most PICTURE_WIDTH wide, in few colours."""
    picture: Any = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    if picture.width > PICTURE_WIDTH:
        height = round(picture.height * PICTURE_WIDTH / picture.width)
        picture = picture.resize((PICTURE_WIDTH, height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.quantize(PICTURE_COLOURS).save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode()


def tidy(notebook: Any) -> None:
    """Make outputs small, and leave one form of each."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = without_progress(plain_text(output.text))
            elif "data" in output:
                output.data = _one_form(output.data)
                output.metadata = {}
        cell.outputs = [
            one for one in cell.outputs if one.output_type != "stream" or one.text.strip()
        ]
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)


def _one_form(data: Any) -> dict[str, Any]:
    """Of what an output offers, what is shown: a picture, else HTML, else text."""
    if "image/png" in data:
        return {"image/png": small_picture(data["image/png"])}
    if "text/html" in data:
        found = re.sub(
            r"(data:image/png;base64,)([A-Za-z0-9+/=]+)",
            lambda match: match[1] + small_picture(match[2]),
            data["text/html"],
        )
        return {"text/html": found}
    return {"text/plain": data.get("text/plain", "")}


def language_of(path: Path) -> str:
    """pt_BR for NAME.pt.ipynb, else en."""
    return "pt_BR" if path.name.endswith(".pt.ipynb") else "en"


def to_markdown(source: Path, target: Path, language: str) -> str:
    """A notebook as a page; its pictures are written beside it."""
    notebook = nbformat.read(source, as_version=4)
    told = {
        "en": f"This page is a notebook: `docs/tutorials/{source.name}`.",
        "pt": f"Esta página é um notebook: `docs/tutorials/{source.name}`.",
    }
    parts, pictures = [], 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                pictures += 1
                name = f"{target.stem}-{pictures}.png"
                (target.parent / name).write_bytes(base64.b64decode(data["image/png"]))
                parts.append(f"![]({name})")
            elif "text/html" in data:
                parts.append(
                    f'<div class="output" markdown="0">{_one_line(data["text/html"])}</div>'
                )
            elif output.output_type == "stream" or "text/plain" in data:
                text = output.get("text") or data.get("text/plain", "")
                parts.append(f"```text\n{text.strip()}\n```")
    parts.insert(1, f"*{told[language]}*")
    return "\n\n".join(parts) + "\n"


def _one_line(html: str) -> str:
    """HTML without line breaks: an empty line would end it for Markdown."""
    return " ".join(html.split())


def main(names: list[str]) -> int:
    """Run notebooks and write their outputs back."""
    for path in map(Path, names):
        print(path, flush=True)
        with kernel(language_of(path)) as run:
            notebook = run(path)
        tidy(notebook)
        nbformat.write(notebook, path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
