"""Make the pictures of docs/boards.md anew, in both languages.

    OLHAR_DATA=FOLDER python tools/board_pictures.py [RUN]

Exports a lenet5 of MNIST in 8 bits as C, and draws what is so: the places that the planner gave the
values, the bytes of flash by what they hold, and what the compiled example says of a frame. Without RUN it
trains one for two epochs. Needs a C compiler, make and arm-none-eabi-gcc.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import olhar
from olhar.evaluation import style
from olhar.evaluation.style import BLUE, COLOURS, GREY, INK, PALE, VERMILLION
from olhar.i18n import number, percent, using
from olhar.native.arena import Arena, plan_arena
from olhar.native.graph import read_network
from olhar.native.model_c import c_names
from olhar.native.steps import PIXELS, Network

FOLDER = Path(__file__).parents[1] / "docs" / "images"
PLACES = {"en": FOLDER, "pt_BR": FOLDER / "pt"}
FRAME = (160, 120)
FIRST_TEST = 60_000
_BYTES = {"int8_t": 1, "uint8_t": 1, "uint16_t": 2, "int32_t": 4}
_LEAST_SHARE = 0.01  # of the flash; what is smaller is drawn together

TEXTS = {
    "en": {
        "frame": "a camera's frame",
        "input": "what the network takes",
        "network": "how many values a layer gives",
        "answer": "the answer",
        "light": "a light",
        "arena": "RAM: where the values lie while the network runs, {n} bytes of arena",
        "bytes": "byte of the arena",
        "flash": "Flash: {n} bytes",
        "code": "operators, calls",
        "rest": "all else",
    },
    "pt_BR": {
        "frame": "um quadro da câmera",
        "input": "o que a rede recebe",
        "network": "quantos valores cada camada dá",
        "answer": "a resposta",
        "light": "uma luz",
        "arena": "RAM: onde ficam os valores enquanto a rede é executada, {n} bytes de arena",
        "bytes": "byte da arena",
        "flash": "Flash: {n} bytes",
        "code": "operadores, chamadas",
        "rest": "todo o resto",
    },
}


def main(names: list[str]) -> None:
    """Export, and keep the pictures."""
    with tempfile.TemporaryDirectory() as place:
        work, run = Path(place), Path(names[0] if names else place, "" if names else "run")
        if not names:
            olhar.train("mnist", "lenet5", run=run, epochs=2)
        board = work / "board"
        olhar.export(run, board, format="c", precision="int8", in_card=False)
        network = read_network((run / "model" / "model.onnx").read_bytes())
        photo = work / "frame.pgm"
        photo.write_bytes(make_frame())
        taken = olhar.load(run).preprocess.read(photo)[0]
        answers = ask(board, photo)
        sizes = json.loads((board / "export.json").read_text(encoding="utf-8"))
        parts = flash_parts(board, network, sizes["flash_bytes"])
        for language, folder in PLACES.items():
            with using(language):
                texts = TEXTS[language]
                flow = draw_flow(np.asarray(Image.open(photo)), taken, network, answers, texts)
                style.save_figure(flow, folder / "board-flow.png")
                style.save_figure(draw_memory(network, parts, texts), folder / "board-memory.png")


def make_frame() -> bytes:
    """The first test image, a 7, as large in a frame as a sheet in front of a camera: a PGM file."""
    dataset = olhar.load_dataset("mnist")
    first = Image.fromarray(dataset.images[FIRST_TEST][:, :, 0])
    frame = Image.new("L", FRAME)
    side = FRAME[1]
    frame.paste(first.resize((side, side), Image.Resampling.BICUBIC), ((FRAME[0] - side) // 2, 0))
    return b"P5 %d %d 255\n" % FRAME + frame.tobytes()


def ask(board: Path, photo: Path) -> list[float]:
    """The shares of the classes, by the example of the folder."""
    subprocess.run(["make", "-s", "-C", str(board), "example"], check=True)  # noqa: S603, S607
    said = subprocess.run(  # noqa: S603
        [str(board / "example")], input=photo.read_bytes(), check=True, capture_output=True
    )
    return [float(line.split()[0]) / 100 for line in said.stdout.decode().splitlines()[:-1]]


def flash_parts(board: Path, network: Network, flash: int) -> list[tuple[str, int]]:
    """What the flash holds, the largest first; "code" is what is no constant, "rest" is small."""
    own = re.findall(
        r"static const (\w+) (\w+)\[(\d+)\]", (board / "src" / "model_weights.h").read_text()
    )
    layers = sorted(c_names(network).values(), key=len, reverse=True)
    parts: Counter[str] = Counter()
    for kind, name, count in own:
        layer = next((layer for layer in layers if name.startswith(layer)), "rest")
        parts[layer] += _BYTES[kind] * int(count)
    large = {name: size for name, size in parts.items() if size >= _LEAST_SHARE * flash}
    large["code"] = flash - sum(parts.values())
    large["rest"] = flash - sum(large.values())
    return sorted(large.items(), key=lambda one: -one[1])


def lives(network: Network, arena: Arena) -> Iterator[tuple[str, int, int]]:
    """Each value, the step that writes it, and the one before which its place is free again."""
    written = {PIXELS: -1} | {step.output: at for at, step in enumerate(network.steps)}
    needed = dict(written)
    for at, step in enumerate(network.steps):
        for name in step.inputs:
            needed[name] = max(needed[name], at)
    for name, first in written.items():
        last = needed[name]
        follower = network.steps[last].output if last > first else name
        in_place = follower != name and arena.offsets[follower] == arena.offsets[name]
        yield name, first, last if in_place else last + 1


def draw_memory(network: Network, parts: list[tuple[str, int]], texts: Mapping[str, str]) -> Any:
    """The arena over the steps, and under it the flash."""
    arena = plan_arena(network, 1)
    card = style.figure(9.6, 6.6)
    above, below = card.subplots(2, 1, height_ratios=[2.6, 1])
    names = c_names(network)
    shapes = {PIXELS: network.shape} | {step.output: step.out_shape for step in network.steps}
    for at, (name, first, end) in enumerate(lives(network, arena)):
        size = int(np.prod(shapes[name]))
        label = names[name]
        colour = COLOURS[at % len(COLOURS)]
        box = {"color": colour, "alpha": 0.35, "ec": colour}
        above.broken_barh([(first, end - first)], (arena.offsets[name], size), **box)
        if size > 300:
            middle = (first + end) / 2, arena.offsets[name] + size / 2
            above.text(*middle, f"{label}\n{number(size)}", ha="center", va="center", fontsize=8)
    steps = [names[step.output] for step in network.steps]
    above.set_xticks(
        np.arange(-1, len(steps)) + 0.5, [names[PIXELS], *steps], rotation=35, ha="right"
    )
    above.set(xlim=(-1, len(steps)), ylim=(0, arena.size), ylabel=texts["bytes"])
    style.decimal(above.yaxis)
    style.bare(above)
    title: dict[str, Any] = {"loc": "left", "fontsize": 11, "fontweight": "bold", "color": INK}
    above.set_title(texts["arena"].format(n=number(arena.size)), **title)
    for at, (name, size) in enumerate(parts):
        colour = GREY if name == "rest" else COLOURS[at % len(COLOURS)]
        below.barh([at], [size], color=colour, alpha=0.35, ec=colour)
        below.text(size + 300, at, str(number(size)), va="center", fontsize=8)
    total = sum(size for _name, size in parts)
    below.set(xlim=(0, parts[0][1] * 1.08), ylim=(len(parts) - 0.4, -0.6), xticks=[])
    below.set_yticks(range(len(parts)), [texts.get(name, name) for name, _size in parts])
    style.bare(below)
    below.spines["bottom"].set_visible(False)
    below.set_title(texts["flash"].format(n=number(total)), **title)
    return card


def draw_flow(
    frame: Any, taken: Any, network: Network, answers: list[float], texts: Mapping[str, str]
) -> Any:
    """From a frame to a light, with the call of C under each arrow."""
    card = style.figure(9.6, 2.5)
    card.set_layout_engine("none")
    boxes = {
        "frame": (0.015, 0.19),
        "input": (0.29, 0.13),
        "network": (0.54, 0.12),
        "answer": (0.73, 0.12),
        "light": (0.915, 0.07),
    }
    places = {name: card.add_axes((left, 0.30, wide, 0.50)) for name, (left, wide) in boxes.items()}
    for name, axes in places.items():
        left, wide = boxes[name]
        card.text(left + wide / 2, 0.89, texts[name], ha="center", fontsize=8.5, color=INK)
        style.hide_frame(axes)
    style.draw_image(places["frame"], frame[:, :, None])
    style.draw_image(places["input"], taken[:, :, None])
    draw_layers(places["network"], network)
    draw_answers(places["answer"], answers)
    light = places["light"]
    light.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
    colour = "#E69F00" if int(np.argmax(answers)) == 7 else PALE
    light.plot([0], [0], "o", markersize=30, color=colour, markeredgecolor=GREY)
    arrows = {
        "olhar_frame()": (0.215, 0.28),
        "model_run()": (0.43, 0.475),
        "model_probabilities()": (0.67, 0.72),
        "model_label()": (0.86, 0.91),
    }
    for call, (start, end) in arrows.items():
        line = {"arrowstyle": "-|>", "color": VERMILLION, "lw": 1.5}
        card.add_artist(_arrow((start, 0.55), (end, 0.55), line))
        middle = (start + end) / 2
        card.text(middle, 0.12, call, ha="center", fontsize=8, family="monospace", color=INK)
    return card


def draw_layers(axes: Any, network: Network) -> None:
    """The layers that have weights, and how many values each gives."""
    own = [step for step in network.steps if step.weight is not None and step.kind != "pixels"]
    values = [int(np.prod(step.out_shape)) for step in own]
    axes.barh(range(len(own)), np.sqrt(values), color=BLUE, alpha=0.5)
    axes.set_yticks(range(len(own)), [step.name for step in own], fontsize=7.5)
    axes.tick_params(length=0)
    axes.set_ylim(len(own) - 0.5, -0.5)
    for at, value in enumerate(values):
        axes.text(2, at, str(number(value)), va="center", fontsize=7)


def draw_answers(axes: Any, answers: list[float]) -> None:
    """One bar a class; the greatest with its share."""
    best = int(np.argmax(answers))
    colours = [BLUE if at == best else GREY for at in range(len(answers))]
    axes.bar(range(len(answers)), answers, color=colours)
    axes.set_xticks(range(len(answers)), map(str, range(len(answers))), fontsize=7)
    axes.tick_params(length=0)
    axes.set_ylim(0, 1.2)
    axes.text(best, answers[best] + 0.03, f"{percent(answers[best])}", ha="center", fontsize=8)


def _arrow(start: tuple[float, float], end: tuple[float, float], line: dict[str, Any]) -> Any:
    from matplotlib.patches import FancyArrowPatch

    return FancyArrowPatch(start, end, mutation_scale=10, **line)


if __name__ == "__main__":
    main(sys.argv[1:])
