"""The command line: help, listing, predicting many files, and bad input."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import olhar
from olhar.datasets import load_named

COMMANDS = ("demo", "data", "networks", "train", "resume", "evaluate", "predict", "explain")
COMMANDS += ("compare", "board", "card", "sweep", "reproduce", "serve", "verify", "export")
COMMANDS += ("push", "pull", "list", "tag", "rm", "deploy", "undeploy", "pack", "unpack", "doctor")


def test_help_names_every_command() -> None:
    done = olhar("--help")
    assert done.status == 0
    for command in COMMANDS:
        assert command in done.out
        assert olhar(command, "--help").status == 0
    assert olhar().out == done.out
    assert olhar("--version", cold=True).out.startswith("olhar ")


@pytest.mark.parametrize("words", [["nonsense"], ["train"], ["predict"], ["train", "--nonsense"]])
def test_wrong_usage_ends_with_2(words: list[str]) -> None:
    done = olhar(*words)
    assert done.status == 2
    assert "Traceback" not in done.err
    assert done.out == ""


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, olhar.cli\n"
        "try: olhar.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'onnxruntime', 'sklearn', 'scipy', 'matplotlib', 'PIL', 'numpy', 'rich'}\n"
        "print(heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr.decode().strip() == "set()"


def test_networks_as_json() -> None:
    rows = olhar("networks", "--data", "digits", "--json").json
    by_name = {row["name"]: row for row in rows}
    assert by_name["lenet5"]["parameters"] == 61_706
    assert by_name["ivannet"]["trainable_parameters"] == 61_794 - 44
    assert "lenet5" in olhar("networks", "--data", "digits").out


def test_data_lists_and_describes() -> None:
    assert olhar("data", "--json").json == [
        *("caltech101", "cifar10", "cifar100", "digits", "fashion_mnist", "mnist")
    ]
    facts = olhar("data", "digits", "--json").json
    assert facts["images"] == 1797
    assert facts["splits"] == {"train": 1293, "val": 144, "test": 360}
    assert "1797 images" in olhar("data", "digits").out
    unknown = olhar("data", "digitz")
    assert unknown.status == 2
    assert "digits" in unknown.err


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    image = load_named("digits").images[0, :, :, 0]
    for name in ("2.png", "10.png", "b/1.png"):
        Image.fromarray(image).save(folder / name)
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return folder


def test_predict_a_folder_in_sorted_order(digits_run: Path, photos: Path) -> None:
    done = olhar("predict", digits_run, photos, "--json", "--top", "2")
    assert done.status == 0
    assert [answer["file"] for answer in done.json] == [
        str(photos / name) for name in ("10.png", "2.png", "b/1.png")
    ]
    for answer in done.json:
        assert set(answer) == {"file", "label", "probability", "sure", "top"}
        assert answer["label"] == "0"
        assert answer["top"][0] == {"label": "0", "probability": answer["probability"]}
        assert len(answer["top"]) == 2


def test_bad_files_are_named_and_the_good_ones_answered(digits_run: Path, photos: Path) -> None:
    (photos / "bad.png").write_bytes(b"")
    (photos / "cut.png").write_bytes((photos / "2.png").read_bytes()[:60])
    (photos / "page.jpg").write_text("<html></html>", encoding="utf-8")
    done = olhar("predict", digits_run, photos, photos / "nowhere.png", "--json")
    assert done.status == 2
    answers = {Path(answer["file"]).name: answer for answer in done.json}
    for name in ("bad.png", "cut.png", "page.jpg", "nowhere.png"):
        assert set(answers[name]) == {"file", "error"}
        assert name in done.err
    assert answers["10.png"]["label"] == answers["2.png"]["label"] == "0"
    assert "Traceback" not in done.err


def test_what_cannot_be_walked_costs_no_answer(digits_run: Path, photos: Path) -> None:
    empty = photos / "empty"
    (photos / ".thumbs").mkdir(parents=True)
    (photos / ".thumbs" / "t.png").write_bytes((photos / "2.png").read_bytes())
    empty.mkdir()
    done = olhar("predict", digits_run, photos / "2.png", empty, "x" * 300, photos, "--json")
    assert done.status == 2
    assert ["label" in answer for answer in done.json] == [True, False, False, True, True, True]
    assert "Traceback" not in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["data"], ["data", "--json"]])
def test_standard_output_on_a_full_disk(words: list[str]) -> None:
    command = [sys.executable, "-m", "olhar", *words]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"full" in done.stderr
    assert b"Traceback" not in done.stderr


def test_predict_from_standard_input(digits_run: Path, photos: Path) -> None:
    content = (photos / "2.png").read_bytes()
    done = olhar("predict", digits_run, "-", "--json", stdin=content)
    assert done.json[0]["file"] == "-"
    assert done.json[0]["label"] == "0"
    assert olhar("predict", digits_run, "-", stdin=b"").status == 2


def test_any_size_and_mode_gives_the_same_digit(digits_run: Path, tmp_path: Path) -> None:
    image = Image.fromarray(load_named("digits").images[0, :, :, 0])
    files = []
    for mode in ("L", "RGB", "RGBA", "P", "CMYK", "I;16", "1"):
        picture = image.resize((96, 96), Image.Resampling.BICUBIC)
        if mode == "I;16":
            picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
        elif mode != "L":
            picture = picture.convert(mode)
        files.append(tmp_path / f"{mode.replace(';', '')}.tiff")
        picture.save(files[-1])
    done = olhar("predict", digits_run, *files, "--json")
    assert [answer.get("label") for answer in done.json] == ["0"] * len(files)


@pytest.mark.parametrize("model", ["nowhere", "."])
def test_predict_without_a_model(model: str, tmp_path: Path) -> None:
    done = olhar("predict", tmp_path / model, "x.png")
    assert done.status == 2
    assert "model" in done.err


def test_evaluate_reads_the_runs_own_splits(digits_run: Path) -> None:
    sizes = {
        split: olhar("evaluate", digits_run, "--split", split, "--json").json["n"]
        for split in ("train", "val", "test", "all")
    }
    assert sizes == {"train": 1293, "val": 144, "test": 360, "all": 360}
    everything = olhar("evaluate", digits_run, "--split", "all", "--keep-seen", "--json").json
    assert everything["n"] == 1797
    assert olhar("evaluate", digits_run, "--split", "tset").status == 2
    assert "accuracy" in olhar("evaluate", digits_run).out


def test_a_pipe_that_closes_is_no_crash(digits_run: Path, photos: Path) -> None:
    files = [str(photos / "2.png")] * 300
    command = [sys.executable, "-m", "olhar", "predict", str(digits_run), *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root can mount a small disk",
)


def test_no_permission_for_the_run_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    command = [sys.executable, "-m", "olhar", "train", "--data", "digits", "--epochs", "1"]
    if os.geteuid() == 0:  # root without the power to pass by permissions
        os.chown(closed, 65534, 65534)
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    command += ["--network", "lenet5", "--run", str(closed / "run")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2, done.stderr
    assert b"permission" in done.stderr
    assert b"Traceback" not in done.stderr


@needs_root
def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not allow mounting")
    try:
        done = olhar("train", "--data", "digits", "--network", "lenet5", "--epochs", 1,
                     "--run", disk / "run")  # fmt: skip
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.status == 1
    assert "full" in done.err
    assert "Traceback" not in done.err


def test_an_unknown_language_is_refused() -> None:
    done = olhar("--lang", "klingon", "--help")
    assert done.status == 2
    assert "Traceback" not in done.err


def test_json_stands_alone_on_standard_output(digits_run: Path) -> None:
    done = olhar("evaluate", digits_run, "--json")
    assert json.loads(done.out)["split"] == "test"
    buffer = io.StringIO(done.out)
    assert buffer.readline() == "{\n"


def test_one_photo_is_predicted_without_what_reads_data_sets(
    digits_run: Path, tmp_path: Path
) -> None:
    Image.new("L", (8, 8), 90).save(tmp_path / "photo.png")
    code = (
        "import sys, olhar.cli\n"
        f"olhar.cli.main(['predict', {str(digits_run)!r}, {str(tmp_path / 'photo.png')!r}])\n"
        "heavy = ('torch', 'sklearn', 'scipy', 'matplotlib', 'rich', 'olhar.datasets')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr.decode().strip() == "[]"
