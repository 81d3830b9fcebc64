"""A pack for a classroom, made, damaged, laid out and installed without a network; and the doctor."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import Done, needs_data, olhar
from olhar.cache_place import cache_folder
from olhar.classroom import examine, pack, plan_pack, unpack
from olhar.classroom.checks import check_data, check_machine
from olhar.classroom.leftovers import find_leftovers, remove_leftovers
from olhar.classroom.libraries import Library, try_imports
from olhar.classroom.manifest import is_portable
from olhar.classroom.requirements import read_needs
from olhar.classroom.results import NOTE, OK, PROBLEM, Check
from olhar.classroom.speed import NETWORK, estimate_minutes
from olhar.classroom.targets import choose_targets
from olhar.classroom.wheels import installed_closure
from olhar.datasets import load_named
from olhar.errors import OlharError
from olhar.files import sha256_file

UNSHARE = ["unshare", "--map-root-user", "--net"]


def without_network() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three digits of each of two classes, with accents in the names."""
    folder = tmp_path_factory.mktemp("data") / "números"
    digits = load_named("digits")
    for label, name in ((0, "zero"), (1, "número um")):
        (folder / name).mkdir(parents=True)
        for index in (digits.labels == label).nonzero()[0][:3]:
            Image.fromarray(digits.images[index, :, :, 0]).save(folder / name / f"foto {index}.png")
    (folder / "notes.txt").write_text("no photo", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    path.write_bytes(os.urandom(5_000))
    return path


@pytest.fixture(scope="module", params=[".zip", ".tar"])
def small(
    request: pytest.FixtureRequest,
    photos: Path,
    weights: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A pack of photos and weights."""
    out = tmp_path_factory.mktemp("small") / f"class{request.param}"
    pack(out, [str(photos)], [str(weights)], wheels=False)
    return out


def files_below(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}


# Packing and laying out


@needs_data
def test_a_pack_of_data_is_laid_out_and_used(photos: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "class.zip"
    words = (out, "--no-wheels", "--data", "mnist", photos, "--weights", weights, "--json")
    made = olhar("pack", *words)
    assert made.status == 0, made.err
    assert made.json["data"] == {"mnist": "named", "números": "folder"}
    with zipfile.ZipFile(out) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest == {key: value for key, value in made.json.items() if key != "path"} | {
            "sha256": manifest["sha256"]
        }
        assert set(archive.namelist()) == {"manifest.json", *manifest["files"]}
    assert [path.name for path in tmp_path.iterdir()] == ["class.zip"]

    fresh = {"OLHAR_CACHE": str(tmp_path / "cache"), "OLHAR_DATA": ""}
    to = tmp_path / "here"
    laid = olhar("unpack", out, "--out", to, **fresh)
    assert laid.status == 0, laid.err
    assert f"olhar train --data {to / 'números'}" in laid.out
    assert sha256_file(to / "weights" / weights.name) == sha256_file(weights)
    assert olhar("data", "mnist", "--json", **fresh).json["images"] == 70_000
    assert olhar("data", to / "números", "--json", **fresh).json["images"] == 6
    again = olhar("unpack", out, "--json", **{**fresh, "OLHAR_DATA": str(to)})
    assert again.json["laid"] == []
    assert sorted(again.json["there"]) == ["mnist", "números", f"weights/{weights.name}"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x.rar"], ".zip"),
        (["x.zip", "--data", "minst"], "mnist"),
        (["x.zip", "--weights", "nothing"], "weights"),
        (["x.zip", "--extras", "trian"], "train"),
        (["x.zip", "--platform", "windos"], "windows"),
        (["x.zip", "--python", "2.7"], "3.11"),
        (["taken.zip"], "exists"),
    ],
)
def test_what_cannot_be_packed_is_refused(words: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "taken.zip").write_bytes(b"mine")
    with pytest.raises(OlharError, match=says) as caught:
        run_pack(tmp_path, words)
    assert caught.value.exit_status == 2
    assert files_below(tmp_path).keys() == {"taken.zip"}


def run_pack(folder: Path, words: list[str]) -> None:
    flags = dict(zip(words[1::2], words[2::2], strict=True))
    pack(
        folder / words[0],
        [flags["--data"]] if "--data" in flags else [],
        [flags["--weights"]] if "--weights" in flags else [],
        extras=[flags["--extras"]] if "--extras" in flags else [],
        platforms=[flags["--platform"]] if "--platform" in flags else [],
        pythons=[flags["--python"]] if "--python" in flags else [],
    )


def test_a_dry_run_lists_and_writes_nothing(photos: Path, tmp_path: Path) -> None:
    plan = plan_pack(tmp_path / "x.zip", [str(photos)], extras=["train"])
    assert plan.libraries["numpy"]
    assert len(plan.files) == 6
    assert list(tmp_path.iterdir()) == []


def test_each_system_gets_what_it_needs() -> None:
    needs = read_needs()
    linux, windows = choose_targets(["linux", "windows"], ["3.12"])
    on_linux = installed_closure(needs, ["train", "serve", "sweep"], linux)
    on_windows = installed_closure(needs, ["train", "serve", "sweep"], windows)
    assert "uvloop" in on_linux
    assert "colorama" not in on_linux
    assert "uvloop" not in on_windows
    assert "colorama" in on_windows
    if on_linux["torch"]:
        assert on_linux["torch"].endswith("+cpu")
        assert "+" not in on_windows["torch"]


def test_zip_tar_and_folder_are_laid_out_alike(small: Path, photos: Path, tmp_path: Path) -> None:
    unpack(small, tmp_path / "a")
    shutil.unpack_archive(
        small, tmp_path / "opened", **({} if small.suffix == ".zip" else {"filter": "data"})
    )
    (tmp_path / "opened" / "olhar-env").mkdir()
    unpack(tmp_path / "opened", tmp_path / "b")
    assert files_below(tmp_path / "a") == files_below(tmp_path / "b")
    laid = files_below(tmp_path / "a" / "números")
    assert laid == {name: sha for name, sha in files_below(photos).items() if name.endswith("png")}


def test_what_lies_there_is_never_replaced(small: Path, tmp_path: Path) -> None:
    mine = tmp_path / "números" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    with pytest.raises(OlharError, match="--out"):
        unpack(small, tmp_path)
    assert files_below(tmp_path).keys() == {"números/mine.txt"}


# Damage


def test_a_changed_byte_is_named(small: Path, tmp_path: Path) -> None:
    content = bytearray(small.read_bytes())
    at = content.index(b"\x89PNG") + 40
    content[at] ^= 1
    damaged = tmp_path / small.name
    damaged.write_bytes(content)
    done = olhar("unpack", damaged, "--out", tmp_path / "to")
    assert done.status == 2
    assert "foto" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "to").exists()


@settings(max_examples=60)
@given(data=st.data())
def test_any_damage_is_refused_or_harmless(
    data: st.DataObject, small: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(small.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / small.name).write_bytes(content)
    try:
        unpack(folder / small.name, folder / "to")
    except OlharError:
        assert not (folder / "to").exists()
    else:
        whole = folder / "whole"
        unpack(small, whole)
        assert files_below(folder / "to") == files_below(whole)
    shutil.rmtree(folder)


def with_member(small: Path, out: Path, info: tarfile.TarInfo | zipfile.ZipInfo) -> Path:
    shutil.copy(small, out)
    if isinstance(info, tarfile.TarInfo):
        with tarfile.open(out, "a") as tar:
            tar.addfile(info)
    else:
        with zipfile.ZipFile(out, "a") as archive:
            archive.writestr(info, b"0" * 10_000)
    return out


def tar_info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_info(
    name: str, attributes: int = 0, compression: int = zipfile.ZIP_STORED
) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = attributes, compression
    return info


TRICKS: list[tuple[str, Callable[[], tarfile.TarInfo | zipfile.ZipInfo]]] = [
    (".tar", lambda: tar_info("../outside.txt")),
    (".tar", lambda: tar_info("/tmp/outside.txt")),
    (".tar", lambda: tar_info("data/link", tarfile.SYMTYPE, "/etc")),
    (".tar", lambda: tar_info("data/link", tarfile.LNKTYPE, "manifest.json")),
    (".tar", lambda: tar_info("data/pipe", tarfile.FIFOTYPE)),
    (".tar", lambda: tar_info("data/more.txt")),
    (".tar", lambda: tar_info("manifest.json")),
    (".zip", lambda: zip_info("../outside.txt")),
    (".zip", lambda: zip_info("C:\\outside.txt")),
    (".zip", lambda: zip_info("data/link", 0o120777 << 16)),
    (".zip", lambda: zip_info("data/bomb", compression=zipfile.ZIP_DEFLATED)),
]


@pytest.mark.parametrize("number", range(len(TRICKS)))
def test_paths_outside_links_and_bombs_are_refused(
    number: int, small: Path, tmp_path: Path
) -> None:
    suffix, make = TRICKS[number]
    if suffix != small.suffix:
        pytest.skip("a trick of the other kind of archive")
    tricked = with_member(small, tmp_path / small.name, make())
    with pytest.raises(OlharError) as caught:
        unpack(tricked, tmp_path / "to")
    assert caught.value.code in {"data", "checksum"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [small.name]


@settings(max_examples=50)
@given(st.text(max_size=30) | st.from_regex(r"[a-z./\\: ]{1,20}", fullmatch=True))
def test_a_portable_path_stays_in_its_folder(path: str) -> None:
    if is_portable(path):
        for kind in (PurePosixPath, PureWindowsPath):
            pure = kind(path)
            assert not pure.is_absolute()
            assert not pure.drive
            assert ".." not in pure.parts
            assert "/".join(pure.parts) == path


def test_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"")
    (tmp_path / "b.zip").write_bytes(b"no archive at all")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("holiday.txt", "sea")
    for name in ("a.zip", "b.zip", "c.zip", "absent.zip"):
        with pytest.raises(OlharError) as caught:
            unpack(tmp_path / name, tmp_path / "to")
        assert caught.value.exit_status == 2
    assert not (tmp_path / "to").exists()


# Installed where there is no network


def alone(*command: object, cwd: Path, **env: str) -> Done:
    """A command in a network namespace that has no device but a loopback, which is down."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_", "OLHAR_"))}
    done = subprocess.run(
        [*UNSHARE, *map(str, command)],
        cwd=cwd,
        env={**clean, "OLHAR_LANG": "en", "OMP_NUM_THREADS": "1", **env},
        capture_output=True,
        timeout=900,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def make_or_skip(out: Path, *words: object) -> None:
    made = olhar("pack", out, *words, timeout_s=900)
    if made.status == 1 and "pip cannot get" in made.err:
        pytest.skip(made.err.strip())
    assert made.status == 0, made.err


@pytest.fixture
def a_digit(tmp_path: Path) -> Path:
    path = tmp_path / "digit.png"
    Image.fromarray(load_named("digits").images[0, :, :, 0]).save(path)
    return path


needs_namespace = pytest.mark.skipif(
    not without_network(), reason="network namespaces are not permitted here"
)
_CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"


@pytest.mark.slow
@needs_namespace
def test_a_pack_is_installed_and_predicts_without_a_network(
    digits_run: Path, photos: Path, a_digit: Path, tmp_path: Path
) -> None:
    out = tmp_path / "class.zip"
    make_or_skip(out, "--extras", "", "--data", photos)
    assert "unreachable" in alone(sys.executable, "-c", _CONNECT, cwd=tmp_path).err
    cache = {"OLHAR_CACHE": str(tmp_path / "cache")}
    installed = alone(sys.executable, out, cwd=tmp_path, **cache)
    assert installed.status == 0, installed.err + installed.out
    assert "Done" in installed.out
    program = tmp_path / "olhar-env" / "bin" / "olhar"
    assert len(files_below(tmp_path / "olhar-data")) == 6
    answer = alone(program, "predict", digits_run, a_digit, "--json", cwd=tmp_path, **cache)
    assert answer.json[0]["label"] == "0", answer.err
    found = alone(program, "doctor", "--json", "--no-speed", cwd=tmp_path, **cache)
    checks = {check["name"]: check for check in found.json["checks"]}
    assert checks["core"]["status"] == OK
    assert checks["extra:train"]["status"] == NOTE
    assert found.status == 0, found.out


@pytest.mark.soak
@needs_namespace
def test_a_pack_trains_without_a_network(a_digit: Path, tmp_path: Path) -> None:
    """By the three steps of INSTRUCTIONS.md."""
    out, env = tmp_path / "class.tar", {"OLHAR_CACHE": str(tmp_path / "cache")}
    make_or_skip(out, "--extras", "train,serve", "--data", "digits")
    opened = tmp_path / "opened"
    shutil.unpack_archive(out, opened, filter="data")
    assert "train,serve" in (opened / "INSTRUCTIONS.md").read_text(encoding="utf-8")
    python = opened / "olhar-env" / "bin" / "python"
    steps = [
        [sys.executable, "-m", "venv", "olhar-env"],
        [
            python,
            "-m",
            "pip",
            "install",
            "--no-index",
            "--find-links",
            "wheels",
            "olhar[train,serve]",
        ],
        [python, "-m", "olhar", "unpack", "."],
        [python, "-m", "olhar", "train", "--data", "digits", "--network", "lenet5", "--run", "d"],
    ]
    for step in steps:
        done = alone(*step, cwd=opened, **env)
        assert done.status == 0, done.err
    answer = alone(python, "-m", "olhar", "predict", "d", a_digit, "--json", cwd=opened, **env)
    assert answer.json[0]["label"] == "0"
    found = alone(python, "-m", "olhar", "doctor", "--extras", "train,serve", cwd=opened, **env)
    assert found.status == 0, found.out


def test_the_installer_says_what_is_wrong(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "class.zip"
    texts = {"en": {"python": "{here} {targets}", "no_wheels": "none {pack}"}}
    with zipfile.ZipFile(out, "w") as archive:
        source = Path(sys.modules["olhar.classroom"].__path__[0]) / "installer.py"
        archive.write(source, "install.py")
        archive.writestr("__main__.py", "import sys, install; sys.exit(install.main())")
        archive.writestr("install.json", json.dumps({**texts, "pt_BR": texts["en"]}))
        files = {"wheels/olhar.whl": {"sha256": "", "size_bytes": 0}}
        archive.writestr("manifest.json", json.dumps({"files": files, "targets": ["linux 3.99"]}))
    done = subprocess.run([sys.executable, out], capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert b"linux 3.99" in done.stderr
    assert b"Traceback" not in done.stderr


# The doctor


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.mark.slow
def test_the_doctor_as_a_user_calls_it() -> None:
    done = olhar("doctor", "--json", "--extras", "train", OMP_NUM_THREADS="1")
    checks = {check["name"]: check for check in done.json["checks"]}
    assert done.status == (0 if done.json["ok"] else 1)
    assert checks["core"]["numpy"]["version"]
    assert checks["python"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert checks["predicting"]["images_per_s"] > 0
    for check in checks.values():
        assert check["status"] == OK or check["next"], check
    if checks["extra:train"]["status"] == OK:
        assert checks["training"]["images_per_s"] > 0
        assert checks["training"]["cifar10_minutes"] > 0


def test_the_estimate_is_of_the_kept_recipe() -> None:
    assert estimate_minutes(1000, 6) == pytest.approx(6 * (45_000 + 5_000 / 3) / 1000 / 60)


def test_a_broken_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ends_it.py").write_text("import os; os._exit(3)", encoding="utf-8")
    (tmp_path / "raises.py").write_text(
        "print('noise'); raise OSError('no libx')", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    errors = try_imports(["json", "ends_it", "raises", "zipfile"])
    assert errors["json"] == errors["zipfile"] == ""
    assert errors["ends_it"] == "exit status 3"
    assert errors["raises"] == "OSError: no libx"


def test_leftovers_and_damage_in_the_cache_are_found_and_removed(own_cache: Path) -> None:
    load_named("digits")
    room = own_cache / "datasets"
    for name, age_s in ((".mnist.abcdefgh", 7200), (".mnist.ijklmnop", 10)):
        (room / name).mkdir()
        (room / name / "images.npy").write_bytes(b"0" * 1000)
        for path in (room / name / "images.npy", room / name):
            os.utime(path, (time.time() - age_s,) * 2)
    shutil.copytree(room / "digits", room / "cut")
    (room / "cut" / "labels.npy").write_bytes(b"")
    digest = "0123" * 16
    (own_cache / "models" / digest).mkdir(parents=True)
    found = find_leftovers()
    assert {leftover.path.name: leftover.damaged for leftover in found} == {
        ".mnist.abcdefgh": False,
        "cut": True,
        digest: True,
    }
    remove_leftovers(found)
    assert find_leftovers() == []
    assert sorted(path.name for path in room.iterdir()) == [".mnist.ijklmnop", "digits"]


@needs_data
def test_data_sets_are_found_whole_or_named(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(Path(os.environ["OLHAR_DATA"]) / "mnist", data / "mnist")
    monkeypatch.setenv("OLHAR_DATA", str(data))
    checks = by_name(check_data())
    assert checks["data:mnist"].status == checks["data:digits"].status == OK
    assert checks["data:cifar10"].status == NOTE
    labels = data / "mnist" / "train-labels-idx1-ubyte.gz"
    labels.chmod(0o644)
    labels.write_bytes(labels.read_bytes()[:-20])
    damaged = by_name(check_data())["data:mnist"]
    assert damaged.status == PROBLEM
    assert labels.name in str(damaged.text)
    monkeypatch.setenv("OLHAR_DATA", str(labels))
    assert by_name(check_data())["OLHAR_DATA"].status == PROBLEM


def test_a_taken_port_and_a_closed_folder_are_seen(
    monkeypatch: pytest.MonkeyPatch, unprivileged: None
) -> None:
    closed = Path(os.sep) / "closed"
    monkeypatch.setenv("OLHAR_CACHE", str(closed / "cache"))
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 8090))
            taken.listen()
        except OSError:
            pytest.skip("port 8090 is in use here")
        checks = by_name(check_machine())
    assert checks["write cache"].status == PROBLEM
    assert checks["port 8090"].status == NOTE


def test_the_measured_network_is_what_it_says() -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    nodes, shapes, at = [], [], "images"

    def weight(name: str, shape: list[int]) -> None:
        shapes.append(helper.make_tensor(f"{name}_s", kind.INT64, [len(shape)], shape))
        value = helper.make_tensor("v", kind.FLOAT, [1], [0.01])
        nodes.append(helper.make_node("ConstantOfShape", [f"{name}_s"], [name], value=value))

    for index, (inputs, outputs) in enumerate(((3, 32), (32, 64), (64, 64))):
        weight(f"w{index}", [outputs, inputs, 3, 3])
        nodes.append(helper.make_node("Conv", [at, f"w{index}"], [f"c{index}"]))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
        at = f"r{index}"
        if index < 2:
            pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
            nodes.append(helper.make_node("MaxPool", [at], [f"p{index}"], **pool))
            at = f"p{index}"
    nodes.append(helper.make_node("Flatten", [at], ["f"]))
    at = "f"
    for index, shape in enumerate(([1024, 64], [64, 10])):
        weight(f"d{index}", shape)
        nodes.append(helper.make_node("MatMul", [at, f"d{index}"], [f"m{index}"]))
        at = f"m{index}"
        if index == 0:
            nodes.append(helper.make_node("Relu", [at], ["h"]))
            at = "h"
    nodes.append(helper.make_node("Softmax", [at], ["probabilities"]))
    images = helper.make_tensor_value_info("images", kind.FLOAT, ["N", 3, 32, 32])
    probs = helper.make_tensor_value_info("probabilities", kind.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "cnn-32-64-64", [images], [probs], shapes)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert onnx.load_from_string(base64.b64decode(NETWORK)) == model


def test_what_pip_is_asked_for_has_no_marker() -> None:
    (ray,) = read_needs().of_extra("ray")
    assert Library(ray, "", fits=False).wanted == "ray[data,default]<2.70,>=2.60"


def test_an_unknown_extra_is_refused() -> None:
    with pytest.raises(OlharError, match="train"):
        examine(["trian"], speed=False)
    assert cache_folder().exists()
