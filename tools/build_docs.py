"""Build the documentation into build/site, in English and, under pt/, in Portuguese.

    python tools/build_docs.py

A page is docs/NAME.md; its translation is docs/NAME.pt.md. README.md is the first page. A page that
nobody has translated stands on the Portuguese site in English, under a sentence that says so. The
tutorials are notebooks, shown with the outputs that are kept in them; the reference is made from the
code (reference.py). Nothing is written outside build/.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import notebooks
import reference

ROOT = Path(__file__).resolve().parents[1]
DOCS, STAGED = ROOT / "docs", ROOT / "build" / "docs"
CONFIGS = {"en": "mkdocs.yml", "pt": "mkdocs.pt.yml"}
# Pages that stand outside docs/: their name here, and their file in each language.
OUTSIDE = {
    "index.md": ("README.md", "README.pt-BR.md"),
    "contributing.md": ("CONTRIBUTING.md", "CONTRIBUTING.pt-BR.md"),
    "changelog.md": ("CHANGELOG.md", "CHANGELOG.pt-BR.md"),
}
UNTRANSLATED = (
    '!!! note "Ainda sem tradução"\n'
    "    Esta página só existe em inglês. "
    "[Como traduzir]({up}translating.md)\n\n"
)
_OTHER = re.compile(r"^(\*\*English\*\* ·|\[English\]\().*\n+", re.MULTILINE)
_TARGET = re.compile(r"(\]\(|(?:src|href)=\")([^)\s\"]+)([)\"])")


def pages() -> dict[str, tuple[Path, Path]]:
    """Each page of the site, and its file in English and in Portuguese; the second may be absent."""
    found = {name: (ROOT / en, ROOT / pt) for name, (en, pt) in OUTSIDE.items()}
    for path in sorted([*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]):
        if ".pt." not in path.name and ".ipynb_checkpoints" not in path.parts:
            name = path.relative_to(DOCS).with_suffix(".md").as_posix()
            found[name] = (path, path.with_suffix(f".pt{path.suffix}"))
    return found


def site_links(text: str, source: Path, name: str, *, fallback: bool = False) -> str:
    """The text of a file, with links to files of the repository made links to pages of the site.

    An English page among Portuguese ones (`fallback`) does not know the headings of the translated
    pages: its links lead to their beginning.
    """
    translated = {page for page, files in pages().items() if files[1].is_file()}
    places = {file.resolve(): page for page, files in pages().items() for file in files}

    def place(match: re.Match[str]) -> str:
        before, link, after = match.groups()
        path, mark, anchor = link.partition("#")
        if not path or "://" in path or path.startswith("data:"):
            return match[0]
        target = (source.parent / path).resolve()
        if target in places:
            page = places[target]
        elif target.is_relative_to(DOCS):
            page = target.relative_to(DOCS).as_posix()
        elif target.is_file():
            page = target.name
        else:
            return match[0]  # a page made from the code; mkdocs says if there is none
        if fallback and page in translated:
            mark = anchor = ""
        start = Path(name).parent
        return before + Path(os.path.relpath(page, start)).as_posix() + mark + anchor + after

    return _TARGET.sub(place, text)


def stage(language: str) -> None:
    """Gather one language's pages, pictures and reference in build/docs/LANGUAGE."""
    folder = STAGED / language
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS / "images", folder / "images")
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE")
    for name, (english, portuguese) in pages().items():
        translated = language == "pt" and portuguese.is_file()
        source = portuguese if translated else english
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".ipynb":
            text = notebooks.to_markdown(source, target, language)
        else:
            text = source.read_text(encoding="utf-8")
        # The line that leads to the other language: the site has a link on every page.
        text = _OTHER.sub("", text, count=1)
        fallback = language == "pt" and not translated
        text = site_links(text, source, name, fallback=fallback)
        if fallback:
            text = UNTRANSLATED.format(up="../" * name.count("/")) + text
        target.write_text(text, encoding="utf-8", newline="\n")
    reference.write_all(folder / "reference", language)


def main() -> int:
    """Build both sites; the exit status is that of the first build that fails."""
    for language, config in CONFIGS.items():
        stage(language)
        command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"]
        command += ["--config-file", str(ROOT / config)]
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, cwd=ROOT, env=quiet, check=False)  # noqa: S603
        if done.returncode:
            return done.returncode
    print(ROOT / "build" / "site" / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
