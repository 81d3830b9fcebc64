"""What the command line does, Python does: the blocks of docs/python.md, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import olhar
from olhar.errors import ConfigError, OlharError, UnknownNameError

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_says_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    train, sweep, data, many, model, stores = blocks("python.md")
    exec(train, names)
    assert names["run"].report.accuracy > 0.5  # type: ignore[attr-defined]
    exec(sweep, names)
    assert names["found"].best.params["lr"] in {0.01, 0.001}  # type: ignore[attr-defined]
    assert (tmp_path / "runs" / "s" / "best" / "README.md").is_file()
    exec(data, names)
    assert names["report"].facts["images"] == 1797  # type: ignore[attr-defined]
    assert (tmp_path / "check.html").is_file()
    exec(many, names)
    assert names["result"].rows == 1797  # type: ignore[attr-defined]
    exec(model, names)
    assert olhar.check_card("runs/first") == []
    assert olhar.verify("runs/first").broken is None
    assert (tmp_path / "first.onnx").is_file()
    exec(stores, names)
    assert olhar.list("store") == ([], 0)
    assert olhar.load("pulled").class_names == olhar.load("runs/first").class_names
    assert (tmp_path / "scans" / "images.npy").is_file()


def test_both_languages_show_the_same_code() -> None:
    assert blocks("python.md") == blocks("python.pt.md")


def test_a_function_stays_one_once_its_room_was_imported() -> None:
    code = """
        import olhar, olhar.sweep.settings, olhar.networks.specs, olhar.deploy, olhar.card
        import olhar.export, olhar.reproduce
        from olhar.sweep.settings import SweepSettings
        for name in olhar.__all__:
            assert callable(getattr(olhar, name)) or name == "__version__", name
    """
    words = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_refusals_are_those_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to search"):
        olhar.sweep("digits", "lenet5", out=tmp_path / "s")
    with pytest.raises(UnknownNameError, match="epochs"):
        olhar.sweep("digits", "lenet5", params={"lr": [0.1]}, epoch=2, out=tmp_path / "s")
    with pytest.raises(UnknownNameError, match="setting of the server"):
        olhar.serve("runs/first", workerz=2)
    with pytest.raises(ConfigError, match="batch_size"):
        olhar.serve(str(tmp_path), batch_size=0)
    with pytest.raises(ConfigError, match="--instance"):
        olhar.deploy("runs/first", role="r", image="i")
    with pytest.raises(OlharError):
        olhar.push_data("digits", str(tmp_path / "store"), name="a/b")
    assert list(tmp_path.iterdir()) == []
