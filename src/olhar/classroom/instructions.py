"""What lies in a pack for who has no olhar yet: instructions in two languages, and an installer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from olhar.archives import Source
from olhar.i18n import LANGUAGES, Text, _, using

_INSTRUCTIONS = {"en": "INSTRUCTIONS.md", "pt_BR": "INSTRUCOES.md"}

# What installer.py says; it fills the places between braces itself.
_INSTALLER_TEXTS: dict[str, Text] = {
    "python": _(
        "This is Python {here}; the pack is for {targets}. Start install.py with one of these, or ask "
        "for a pack made with: olhar pack --platform ... --python ..."
    ),
    "venv": _(
        "No virtual environment could be made in {folder}. On Debian and Ubuntu the package "
        "python3-venv has to be installed first; elsewhere install Python from python.org."
    ),
    "taken": _("{folder} exists already and is no virtual environment; name another: {command}"),
    "damaged": _("{file} is damaged: copy the pack again."),
    "no_wheels": _("This pack was made without wheels: install olhar, then: olhar unpack {pack}"),
    "installing": _("Installing olhar into {folder}, without a network: a minute or two."),
    "failed": _("The installation failed; what pip said is above."),
    "unpack_failed": _("olhar is installed; its data could not be laid out: see above."),
    "done": _("Done. Try: {command}"),
}


def installer_files(extras: Sequence[str], data: Mapping[str, str]) -> dict[str, Source]:
    """INSTRUCTIONS.md, INSTRUCOES.md, and install.py with its texts, by their paths in a pack."""
    folder = Path(__file__).parent
    texts = {}
    files: dict[str, Source] = {}
    for tag in LANGUAGES:
        with using(tag):
            files[_INSTRUCTIONS[tag]] = _instructions(extras, data).encode()
            texts[tag] = {key: str(text) for key, text in _INSTALLER_TEXTS.items()}
    files["install.py"] = (folder / "installer.py").read_bytes()
    files["install.json"] = (json.dumps(texts, indent=1, ensure_ascii=False) + "\n").encode()
    # Python starts a .zip that holds this file: no unpacking by hand.
    files["__main__.py"] = b"import sys\n\nimport install\n\nsys.exit(install.main())\n"
    return files


def _instructions(extras: Sequence[str], data: Mapping[str, str]) -> str:
    wanted = f"olhar[{','.join(extras)}]" if extras else "olhar"
    example = next(iter(data), "digits")
    example = f"olhar-data/{example}" if data.get(example) == "folder" else example
    text = _(
        """# olhar, without a network

This pack has olhar, the libraries that it needs, data sets and weights. Nothing is downloaded. You
need Python, of a version named in manifest.json under "targets".

## In one step

Open a terminal in the folder where this pack lies, and start the pack itself, or install.py where
you have unpacked it:

    python class.zip
    python install.py

It makes the virtual environment `olhar-env`, installs olhar into it, lays the data sets into the
folder `olhar-data`, and says how to go on.

## In three steps, by hand

1. Unpack the archive, open a terminal in its folder, and make a virtual environment:

       python -m venv olhar-env

   and activate it. Linux and macOS:

       . olhar-env/bin/activate

   Windows:

       olhar-env\\Scripts\\activate

2. Install, without a network:

       pip install --no-index --find-links wheels "{wanted}"

3. Lay out data sets and weights, from the archive or from this folder:

       olhar unpack .

Then:

    olhar train --data {example}

If anything does not work: `olhar doctor` says what, and what to do.
""",
        wanted=wanted,
        example=example,
    )
    return str(text)
