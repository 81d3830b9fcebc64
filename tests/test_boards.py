"""`olhar export --format c`: C that compiles everywhere, is measured, and runs on emulated processors."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file

import build_wasm
from conftest import olhar
from olhar.classifier import load_classifier
from olhar.errors import ConfigError, ExportError
from olhar.native.arena import plan_arena
from olhar.native.board import Board
from olhar.native.boards import BOARDS, Limits, estimate, which_fit
from olhar.native.graph import read_network
from olhar.native.host import SOURCES, load_library
from olhar.native.quantise import as_multiplier
from olhar.native.running import Program
from olhar.native.steps import PIXELS, Network
from olhar.networks.specs import LISTED, NetworkSpec
from olhar.pipeline.exporting import export_model
from olhar.verify.engines import c_link, first_difference
from olhar.verify.links import Item, answers_from_probs
from test_native import PUBLISHED, drawn
from test_verify import make_model

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-c")
MACHINES = {"cortex-m3": "mps2-an385", "cortex-m4": "mps2-an386", "cortex-m7": "mps2-an500"}


@pytest.fixture(scope="module")
def exported(
    digits_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """A copy of the digits run as C, in both precisions, and what the command said."""
    folder = tmp_path_factory.mktemp("c")
    run = shutil.copytree(digits_run, folder / "digits")
    made = {}
    for precision in ("fp32", "int8"):
        words = ("--format", "c", "--precision", precision, "--out", folder / precision)
        done = olhar("export", run, *words, "--json")
        assert done.status == 0, done.err
        made[precision] = folder / precision, done.json
    return made


def run(*command: str | Path, cwd: Path | None = None, given: bytes = b"") -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        input=given,
        check=False,
        capture_output=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


# What is written.


def test_what_the_command_says_is_in_the_folder(
    digits_run: Path, exported: dict[str, tuple[Path, dict[str, Any]]]
) -> None:
    folder, said = exported["int8"]
    kept = json.loads((folder / "export.json").read_text())
    assert kept == {key: value for key, value in said.items() if key != "path"}
    metrics = json.loads((digits_run / "metrics.json").read_text())
    assert said["accuracy_of_run"] == pytest.approx(metrics["accuracy"])
    assert said["accuracy"] >= said["accuracy_of_run"] - 0.01
    assert said["test_images"] == metrics["n"]
    header = (folder / "src" / "model.h").read_text()
    for name in ("flash", "ram"):
        assert f"#define MODEL_{name.upper()}_BYTES {said[f'{name}_bytes']}\n" in header
    assert f"#define MODEL_MACS {said['macs']} " in header
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {
        *("src/model.h", "src/model.c", "src/model_weights.h", "src/olhar_nn.h", "src/olhar_nn.c"),
        *("src/olhar_frame.h", "src/olhar_frame.c", "example.c", "test_golden.c", "golden.h"),
        *("Makefile", "CMakeLists.txt", "README.md", "library.properties", "export.json"),
        *("examples/label/label.ino", "emulator/start.c", "emulator/count.c", "emulator/memory.ld"),
    }
    for path in (*folder.rglob("*.[ch]"), *folder.rglob("*.ino"), folder / "Makefile"):
        assert not re.search(r"@[A-Z_]+@|malloc|<math|<stdlib", path.read_text()), path


def test_the_card_of_the_run_says_it(
    exported: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    folder, said = exported["int8"]
    run = Path(shutil.copytree(folder.parent / "digits", tmp_path / "digits"))
    shown = (run / "README.md").read_text()
    assert "### On a board" in shown
    assert f"| int8 | none | {said['flash_bytes']:,} | {said['ram_bytes']:,} |" in shown
    assert f"{said['accuracy']:.2%}" in shown
    assert olhar("card", "--check", run).status == 0
    kept = json.loads((run / "exports.json").read_text())["exports"]
    assert [one["precision"] for one in kept] == ["fp32", "int8"]
    kept[0]["model"] = "of another training"
    (run / "exports.json").write_text(json.dumps({"exports": kept}))
    assert olhar("card", run).status == 0
    assert "| fp32 |" not in (run / "README.md").read_text()


def test_int8_is_a_quarter(exported: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    floats, integers = (exported[precision][1] for precision in ("fp32", "int8"))
    assert integers["flash_bytes"] < 0.35 * floats["flash_bytes"]
    assert integers["ram_bytes"] < 0.35 * floats["ram_bytes"]
    assert integers["macs"] == floats["macs"]
    if integers["sizes_measured"]:  # what a vendor publishes for a LeNet-5 of this size
        assert integers["flash_bytes"] <= 69_632
        assert integers["ram_bytes"] <= 8_294


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_golden_outputs_and_a_photo_on_this_machine(
    digits_run: Path,
    exported: dict[str, tuple[Path, dict[str, Any]]],
    tmp_path: Path,
    precision: str,
) -> None:
    folder = shutil.copytree(exported[precision][0], tmp_path / "c")
    assert "all probabilities agree" in run("make", "-s", "test", "example", cwd=folder)
    pixels = load_file(digits_run / "model" / "golden.safetensors")["images"][0]
    photo = Image.fromarray(pixels[0]).resize((90, 70), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "photo.pgm")
    expected = load_classifier(digits_run).predict(tmp_path / "photo.pgm")
    said = run(folder / "example", given=(tmp_path / "photo.pgm").read_bytes())
    assert said.splitlines()[-1].split()[0] == expected.label
    shown = float(said.splitlines()[int(expected.label)].split()[0])
    assert shown == pytest.approx(
        100 * expected.probability, abs=0.06 if precision == "fp32" else 3
    )
    bad = subprocess.run(
        [folder / "example"], input=b"P6 9 9 255\n", capture_output=True, check=False
    )
    assert bad.returncode == 2


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_compiles_without_a_warning_as_c_and_as_cpp(
    exported: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path, precision: str
) -> None:
    folder = exported[precision][0]
    sources = [*(folder / "src").glob("*.c"), folder / "test_golden.c", folder / "example.c"]
    includes = ("-I", folder / "src", "-I", folder)
    assert {"model.c", "olhar_nn.c", "test_golden.c"} <= {source.name for source in sources}
    for source in sources:
        for kind, words in (
            ("c", ("cc", *STRICT)),
            ("cpp", ("c++", "-x", "c++", "-pedantic", *STRICT[2:])),
        ):
            made = tmp_path / f"{source.stem}-{kind}.o"
            assert run(*words, *includes, source, "-o", made) == ""
            assert made.stat().st_size > 0


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_cmake_builds_it_alone_and_in_a_project(
    exported: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path, precision: str
) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    shutil.copytree(exported[precision][0], tmp_path / "c")
    name = re.search(r"^project\((\w+) ", (tmp_path / "c" / "CMakeLists.txt").read_text(), re.M)
    assert name
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.10)\nproject(own C)\nadd_subdirectory(c)\n"
        f"add_executable(own own.c)\ntarget_link_libraries(own {name[1]})\n"
    )
    (tmp_path / "own.c").write_text(
        '#include <stdio.h>\n#include "model.h"\n'
        'int main(void) { model_run(); printf("%d classes\\n", MODEL_CLASSES); return 0; }\n'
    )
    warned = ("-Werror=dev", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror -pedantic")
    for source, build in ((tmp_path / "c", tmp_path / "alone"), (tmp_path, tmp_path / "within")):
        run("cmake", *warned, "-S", source, "-B", build)
        run("cmake", "--build", build)
    assert "all probabilities agree" in run(tmp_path / "alone" / "test_golden")
    assert "100% tests passed" in run("ctest", cwd=tmp_path / "alone")
    assert run(tmp_path / "within" / "own") == "10 classes\n"
    assert not list((tmp_path / "within").rglob("test_golden"))  # tests are of the folder alone


def test_the_sketch_compiles(
    exported: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    """With what the Arduino IDE puts before a sketch, as far as this one needs it."""
    folder = exported["int8"][0]
    (tmp_path / "Arduino.h").write_text(
        "#include <stddef.h>\nunsigned long micros();\n"
        "struct Line { void begin(long); void setTimeout(long); size_t readBytes(char *, size_t);\n"
        "void print(const char *); void print(unsigned long); void println(const char *); };\n"
        "extern Line Serial;\n"
    )
    options = ("-x", "c++", "-fsyntax-only", "-Wall", "-include", tmp_path / "Arduino.h")
    sketch = folder / "examples" / "label" / "label.ino"
    assert run("c++", *options, "-I", folder / "src", sketch) == ""
    broken = tmp_path / "broken.ino"  # the compiler does look at it
    broken.write_text(sketch.read_text() + "\nint x = unknown;\n")
    with pytest.raises(AssertionError, match="unknown"):
        run("c++", *options, "-I", folder / "src", broken)


@pytest.mark.parametrize("cpu", MACHINES)
def test_golden_outputs_on_an_emulated_processor(
    exported: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path, cpu: str
) -> None:
    """In 8 bits bit for bit what this machine computes, at fp32 within 1e-5 of model.onnx."""
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    for precision in ("fp32", "int8"):
        folder = shutil.copytree(exported[precision][0], tmp_path / precision)
        said = run("make", "-s", "emulate", f"CPU={cpu}", cwd=folder)
        assert "16 images, 10 classes: all probabilities agree" in said
        if cpu == "cortex-m4":
            counted = run("make", "-s", "count", cwd=folder)
            assert int(counted.split()[1]) > exported[precision][1]["macs"] / 1000
        if precision == "int8":  # the test can fail
            golden = (folder / "golden.h").read_text()
            start = golden.index("golden_probabilities")
            first = re.search(r"\n +(\d+),", golden[start:])
            assert first
            at = start + first.start(1)
            changed = golden[:at] + str(int(first[1]) + 1) + golden[at + len(first[1]) :]
            (folder / "golden.h").write_text(changed)
            done = subprocess.run(
                ["make", "-s", "emulate", f"CPU={cpu}"],
                cwd=folder,
                check=False,
                capture_output=True,
                timeout=200,
            )
            assert done.returncode
            assert b"1 probabilities differ" in done.stdout


def test_what_was_chosen_is_not_compiled_anew(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiling a large network takes long; the C that was measured is the C that is kept."""
    compiled = []

    class Counted(Program):
        def __init__(self, sources: Path, board: Board) -> None:
            compiled.append((sources / "model_weights.h").read_text())
            super().__init__(sources, board)

    monkeypatch.setattr("olhar.pipeline.exporting_c.Program", Counted)
    export_model(digits_run, tmp_path / "c", format="c", precision="int8", in_card=False)
    assert len(compiled) == len(set(compiled))
    assert (tmp_path / "c" / "src" / "model_weights.h").read_text() in compiled


def test_a_residual_network_gives_the_same_bits_anew(tmp_path: Path) -> None:
    """Trained, in 8 bits, compiled by its own Makefile; and about as large as it is estimated."""
    words = ("--network", "resnet8", "--epochs", "3")
    assert olhar("train", "--data", "digits", *words, "--run", tmp_path / "d").status == 0
    words = ("--format", "c", "--precision", "int8", "--max-drop", "0.03", "--out", tmp_path / "c")
    done = olhar("export", tmp_path / "d", *words, "--json")
    assert done.status == 0, done.err
    assert done.json["accuracy"] > 0.8
    assert "all probabilities agree" in run("make", "-s", "test", cwd=tmp_path / "c")
    flash, ram = estimate(NetworkSpec("resnet8", {}, 28, 1, 10))
    assert done.json["ram_bytes"] == pytest.approx(ram, rel=0.05)
    if done.json["sizes_measured"]:
        assert done.json["flash_bytes"] == pytest.approx(flash, rel=0.1)


def test_views_are_off_unless_they_are_asked_for(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", "lenet5", views="mirror_shift")
    off = export_model(model, tmp_path / "off", format="c")
    own = export_model(model, tmp_path / "own", format="c", views="own")
    assert off.largest_difference is not None
    assert own.largest_difference is not None
    assert own.largest_difference <= 1e-5
    assert "--views own" in str(off.to_dict()["notes"])
    assert own.to_dict()["macs"] == 6 * off.to_dict()["macs"]


# How it is computed.


@settings(max_examples=200, deadline=None)
@given(value=st.floats(1e-9, 1e6), x=st.integers(-(2**31), 2**31 - 1))
def test_a_multiplier_and_a_shift_are_a_product(value: float, x: int) -> None:
    multiplier, shift = (int(one[0]) for one in as_multiplier(np.array([value])))
    assert abs(multiplier / 2**31 * 2**shift - value) <= value * 2**-30
    exact = (x * multiplier + (1 << (30 - shift))) >> (31 - shift)
    if abs(exact) < 2**31:
        assert _operators().nn_requantise(x, multiplier, shift) == exact


_LOADED: list[Any] = []


def _operators() -> Any:
    if not _LOADED:
        _LOADED.append(load_library([SOURCES / "olhar_nn.c"]))
    return _LOADED[0]


@pytest.mark.parametrize("name", [*LISTED, *PUBLISHED])
def test_values_that_are_needed_together_do_not_overlap(name: str) -> None:
    network = read_network(drawn(name, 64 if name in PUBLISHED else 0))
    for size in (1, 4):
        check_arena(network, size)


def check_arena(network: Network, size: int) -> None:
    """Every step finds in its inputs what was written there."""
    arena = plan_arena(network, size)
    shapes = {PIXELS: network.shape} | {step.output: step.out_shape for step in network.steps}
    owner = np.full(arena.size, "", dtype=object)

    def place(name: str) -> slice:
        width = math.prod(shapes[name]) * (1 if name == PIXELS else size)
        assert arena.offsets[name] % 4 == 0
        return slice(arena.offsets[name], arena.offsets[name] + width)

    owner[place(PIXELS)] = PIXELS
    for step in network.steps:
        for name in step.inputs:
            assert set(owner[place(name)]) == {name}, (step.name, name)
        overwritten = {name for name in step.inputs if set(owner[place(name)]) & {name}}
        owner[place(step.output)] = step.output
        for name in overwritten:
            whole = set(owner[place(name)]) == {name}
            in_place = arena.offsets[name] == arena.offsets[step.output]
            assert whole or in_place, (step.name, name)
    assert set(owner[place(network.logits)]) == {network.logits}


def test_a_layer_that_computes_otherwise_is_named() -> None:
    content = drawn("lenet5", 28, channels=1)
    network = read_network(content)
    pixels = np.random.default_rng(0).integers(0, 256, network.shape, dtype=np.uint8)
    assert first_difference(content, network, pixels) is None
    steps = [
        dataclasses.replace(step, bias=step.bias + 0.5) if step.name == "conv2" else step
        for step in network.steps
    ]
    changed = dataclasses.replace(network, steps=tuple(steps))
    assert first_difference(content, changed, pixels) == "conv2"


def test_verify_compares_with_the_c(tmp_path: Path) -> None:
    classifier = load_classifier(make_model(tmp_path / "m", "olhar-small", views="mirror"))
    images = load_file(tmp_path / "m" / "golden.safetensors")["images"]
    items = [Item(f"golden[{row}]", b"", image) for row, image in enumerate(images)]
    right = answers_from_probs(classifier.predict_probs(images), classifier.class_names)
    link = c_link(classifier, items, right)
    assert (link.status, link.inputs) == ("ok", 16)
    wrong = dataclasses.replace(right, probs=right.probs[:, ::-1])
    link = c_link(classifier, items, wrong)
    assert (link.status, "no layer differs" in str(link.note)) == ("differs", True)


# What is refused.


def test_what_cannot_be_done_is_refused_before_anything_is_written(
    digits_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    c = ("--format", "c", "--out", tmp_path / "c")
    for words, message in (
        (("--format", "c", "--out", tmp_path / "taken"), "exists already; choose another --out"),
        ((*c, "--board", "picoo"), "did you mean pico"),
        ((*c, "--views", "mirror"), "allowed: none, own"),
        ((*c, "--max-flash", "9000"), "bytes of flash are needed and 9,000 are there"),
        ((*c, "--max-ram", "1000"), "none of olhar's networks would fit"),
        ((*c, "--max-ram", "no"), "allowed"),
    ):
        done = olhar("export", digits_run, *words)
        assert done.status == 2, (words, done.err)
        assert message in done.err
        assert "Traceback" not in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_changed_model_and_an_unknown_operator_are_refused(tmp_path: Path) -> None:
    from test_verify import reseal

    model = make_model(tmp_path / "m", "lenet5")
    graph = onnx.load(model / "model.onnx")
    node = next(node for node in graph.graph.node if node.op_type == "Tanh")
    node.op_type = "Softplus"
    onnx.save(graph, model / "model.onnx")
    done = olhar("export", model, "--format", "c", "--out", tmp_path / "c")
    assert (done.status, "was changed after it was saved" in done.err) == (2, True)
    reseal(model)
    done = olhar("export", model, "--format", "c", "--out", tmp_path / "c")
    assert done.status == 2
    assert "layer tanh1 is the operator Softplus" in done.err
    assert not (tmp_path / "c").exists()


def test_a_network_of_too_many_weights_is_refused(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("olhar.pipeline.exporting_c._MOST_WEIGHTS", 1000)
    with pytest.raises(ConfigError, match=r"has 61,\d+ weights; as C it may have 1,000"):
        export_model(digits_run / "model", tmp_path / "c", format="c")
    assert not list(tmp_path.iterdir())


def test_a_machine_without_a_compiler(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "ziglang", None)
    made = export_model(digits_run / "model", tmp_path / "c", format="c").to_dict()
    assert (made["golden_tested"], made["sizes_measured"]) == (False, False)
    assert "pip install ziglang" in str(made["notes"])
    with pytest.raises(Exception, match="pip install ziglang"):
        export_model(digits_run, tmp_path / "d", format="c", precision="int8")


def test_which_networks_fit_on_the_boards() -> None:
    network = {"name": "mobilenet_v2", "channels": 3, "num_classes": 10, "size": 224}
    for limits in BOARDS.values():
        assert {"lenet5", "gmnet"} <= set(which_fit(limits, network))
    assert which_fit(Limits("", 70_000, None), network) == ["lenet5", "ivannet"]
    assert which_fit(Limits("", 1000, None), network) == []


def test_golden_probabilities_that_contradict_the_model_are_refused(
    digits_run: Path, tmp_path: Path
) -> None:
    from test_verify import plant_golden_probabilities

    model = Path(shutil.copytree(digits_run / "model", tmp_path / "m"))
    plant_golden_probabilities(model)
    with pytest.raises(ExportError, match="olhar verify"):
        export_model(model, tmp_path / "out", format="c")
    with pytest.raises(ConfigError):
        export_model(model, tmp_path / "out", format="c", precision="fp16")
    assert not (tmp_path / "out").exists()


_IN_WEBASSEMBLY = """
#include <string.h>
#include "golden.h"
#include "model.h"
int differing(int tolerated)
{
    int row, i, count = 0;
    for (row = 0; row < GOLDEN_COUNT; row++) {
        memcpy(model_input(), golden_images + (long)row * MODEL_INPUT_BYTES, MODEL_INPUT_BYTES);
        model_run();
        for (i = 0; i < MODEL_CLASSES; i++) {
            const model_number found = model_probabilities()[i];
            const model_number wanted = golden_probabilities[row * MODEL_CLASSES + i];
            const double apart = found > wanted ? (double)found - wanted : (double)wanted - found;
            count += tolerated ? apart > 1e-5 : apart != 0;
        }
    }
    return count;
}
"""


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_webassembly_gives_the_bits_of_this_machine(
    exported: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path, precision: str
) -> None:
    wasmtime = pytest.importorskip("wasmtime", reason="wasmtime is not installed")
    pytest.importorskip("ziglang", reason="building needs ziglang")
    folder = exported[precision][0]
    for path in (*(folder / "src").iterdir(), folder / "golden.h"):
        shutil.copy(path, tmp_path)
    (tmp_path / "differing.c").write_text(_IN_WEBASSEMBLY)
    sources = [tmp_path / name for name in ("model.c", "olhar_nn.c", "differing.c")]
    build_wasm.compile_wasm(sources, ["differing"], tmp_path / "model.wasm")
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, (tmp_path / "model.wasm").read_bytes())
    differing = wasmtime.Instance(store, module, []).exports(store)["differing"]
    assert differing(store, int(precision == "fp32")) == 0
