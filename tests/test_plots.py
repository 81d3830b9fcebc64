"""The pictures are drawn, with any class names, from real digits, without pyplot or a display."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from olhar.errors import ConfigError, DataError, NoPermissionError, WrongPathError
from olhar.evaluation import plots
from olhar.evaluation.report import build_report

ODD = [
    "a$b$",
    "x_y^2",
    "<script>",
    "new\nline",
    "😀",
    "w" * 200,
    "$\\frac{$",
    "日本",
    "\udcff",
    "ع",
]


@pytest.fixture(scope="module")
def digits():
    loaded = load_digits()
    images = (loaded.images[:120, :, :, None] * 15.9).astype(np.uint8)
    labels = loaded.target[:120].astype(np.int64)
    probs = np.full((120, 10), 0.02, dtype=np.float32)
    predicted = np.where(np.arange(120) % 4 == 0, (labels + 1) % 10, labels)
    probs[np.arange(120), predicted] = np.linspace(0.5, 0.9, 120)
    return images, labels, probs


def confusion_of(k, n=600):
    rng = np.random.default_rng(0)
    confusion = np.zeros((k, k), dtype=np.int64)
    labels = rng.integers(0, k, n)
    np.add.at(confusion, (labels, np.where(rng.random(n) < 0.8, labels, rng.integers(0, k, n))), 1)
    return confusion


def texts(figure):
    return [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def predictions_of(k, n=600):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) + 3 * np.eye(k)[labels]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probs.astype(np.float32), labels


def report_of(class_names):
    probs, labels = predictions_of(len(class_names))
    return build_report(probs, labels, class_names, split="test", data={"name": "toy"})


def history(epochs):
    keys = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return [{"epoch": e, **dict.fromkeys(keys, 1 / e)} for e in range(1, epochs + 1)]


def saved(figure, path):
    plots.save_figure(figure, path)
    with Image.open(path) as image:
        image.load()
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        return np.asarray(image.convert("L"))


@pytest.mark.parametrize("k", [2, 10, 30])
def test_confusion_matrix(k, tmp_path):
    confusion = confusion_of(k)
    figure = plots.plot_confusion_matrix(confusion, [f"class {i}" for i in range(k)])
    assert saved(figure, tmp_path / "c.png").std() > 5
    shown = texts(figure)
    assert {"true class (rows)", "predicted class (columns)", "class 1"} <= set(shown)
    cell = f"{confusion[0, 0] / confusion[0].sum():.0%}\n{confusion[0, 0]}"
    assert (cell in shown) == (k <= plots.NUMBERS_UP_TO)


def test_confusion_matrix_rows_run_down_and_columns_across(tmp_path):
    figure = plots.plot_confusion_matrix([[0, 8], [0, 0]], ["a", "b"])
    pixels = saved(figure, tmp_path / "c.png")
    box = figure.axes[0].get_window_extent().extents * 150 / figure.dpi
    left, bottom, right, top = (int(v) for v in box)
    height = len(pixels)
    corner = pixels[height - top + 20, right - 20], pixels[height - bottom - 20, left + 20]
    assert corner[0] < 100 < corner[1]  # row a, column b: up and to the right


def test_learning_curve_marks_the_best_epoch(tmp_path):
    figure = plots.plot_learning_curve(history(9), 4)
    saved(figure, tmp_path / "l.png")
    assert "best epoch: 4" in texts(figure)
    for axes in figure.axes:
        assert [4] in [list(line.get_xdata()) for line in axes.lines]


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_short_histories(epochs, tmp_path):
    rows = history(epochs)
    for row in rows:
        row["val_loss"] = float("nan")
    saved(plots.plot_learning_curve(rows, None), tmp_path / "l.png")
    saved(plots.plot_learning_curve(rows, 1), tmp_path / "l.png")


def test_samples_mark_the_wrong_ones(digits, tmp_path):
    figure = plots.plot_samples(*digits, [str(i) for i in range(10)])
    saved(figure, tmp_path / "s.png")
    (axes,) = figure.axes
    assert len(axes.images) == 25
    title, *captions = [text.get_text() for text in axes.texts]
    wrong = [caption for caption in captions if caption.startswith("✗")]
    assert wrong
    assert all("true: " in caption for caption in wrong)
    assert f"wrong: {len(wrong)} of 25" in title
    framed = {(frame.get_x(), frame.get_y()) for frame in axes.patches}
    places = [image.get_extent() for image in axes.images]
    assert framed == {
        (left, top)
        for (left, _right, _bottom, top), caption in zip(places, captions, strict=True)
        if caption in wrong
    }


def test_worst_errors_come_first(digits, tmp_path):
    _, labels, probs = digits
    names = [f"folder/with/a/long/name/{i}.jpg" for i in range(len(labels))]
    figure = plots.plot_worst_errors(*digits, [str(i) for i in range(10)], names)
    saved(figure, tmp_path / "w.png")
    (axes,) = figure.axes
    _title, *captions = [text.get_text() for text in axes.texts]
    assert len(axes.images) == len(captions) == 16
    gap = probs.max(axis=1) - probs[np.arange(120), labels]
    worst = np.argmax(np.where(probs.argmax(axis=1) != labels, gap, -1))
    assert captions[0].endswith(f"/{worst}.jpg")


@pytest.mark.parametrize(("height", "width"), [(100, 160), (30, 300), (300, 30)])
def test_images_of_any_shape_keep_it_and_do_not_touch(height, width, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, height, width, 3), dtype=np.uint8)
    figure = plots.plot_samples(images, np.zeros(7, int), np.eye(7)[[0] * 7], ["a"] * 7)
    saved(figure, tmp_path / "s.png")
    boxes = [image.get_extent() for image in figure.axes[0].images]  # left, right, bottom, top
    for left, right, bottom, top in boxes:
        assert (right - left) / (bottom - top) == pytest.approx(width / height)
    assert boxes[0][1] < boxes[1][0]
    assert boxes[0][2] < boxes[5][3]
    assert boxes[-1][2] < figure.get_figheight()
    assert max(right for _, right, _, _ in boxes) < figure.get_figwidth()


def test_no_errors_says_so(digits, tmp_path):
    images, labels, _ = digits
    right = np.eye(10, dtype=np.float32)[labels]
    figure = plots.plot_worst_errors(images, labels, right, ODD, [""] * len(labels))
    saved(figure, tmp_path / "w.png")
    assert "no errors: all 120 images are right" in texts(figure)


@pytest.mark.parametrize("k", [2, 10, 100])
def test_scores_by_class(k, tmp_path):
    report = report_of([f"class {i}" for i in range(k)])
    figure = plots.plot_per_class(report)
    saved(figure, tmp_path / "p.png")
    left, right = figure.axes
    ranked = sorted(report.per_class, key=lambda one: one["f1"])
    assert [bar.get_width() for bar in left.patches] == [one["recall"] for one in ranked]
    assert [bar.get_width() for bar in right.patches] == [one["precision"] for one in ranked]
    ends = [line[:, 0].tolist() for line in left.collections[0].get_segments()]
    assert ends == [one["recall_interval"] for one in ranked]
    first = left.get_yticklabels()[0].get_text()
    assert first == f"{ranked[0]['name']}  ({ranked[0]['support']})"
    assert left.yaxis_inverted()


@pytest.mark.parametrize("k", [2, 10])
def test_reliability(k, tmp_path):
    probs, labels = predictions_of(k)
    alone = plots.plot_reliability(probs, labels)
    assert len(alone.axes) == 2
    saved(alone, tmp_path / "r.png")
    both = plots.plot_reliability(probs, labels, 1.5)
    assert len(both.axes) == 4
    saved(both, tmp_path / "r.png")
    titles = [axes.get_title(loc="left") for axes in both.axes[:2]]
    assert titles[0].startswith("temperature 1: calibration error ")
    assert titles[1].startswith("temperature 1.50: calibration error ")
    counts = [int(text.get_text()) for text in both.axes[3].texts]
    assert sum(counts) == len(labels)
    with pytest.raises(DataError, match="no images"):
        plots.plot_reliability(probs[:0], labels[:0])


def test_augmentation_preview(digits, tmp_path):
    images, _, _ = digits
    one = plots.plot_augmentation(images, images[:, ::-1])
    assert len(one.axes[0].images) == 2 * 8
    saved(one, tmp_path / "a.png")
    two = plots.plot_augmentation(images[:3], np.stack([images[:3]] * 2), ODD)
    (axes,) = two.axes
    assert len(axes.images) == 3 * 3
    shown = [image.get_array() for image in axes.images]
    np.testing.assert_array_equal(shown[0], shown[3])
    assert axes.texts[1].get_text() == r"a\$b\$"
    saved(two, tmp_path / "b.png")


def test_any_class_name_can_be_drawn(digits, tmp_path):
    images, labels, probs = digits
    colour = np.repeat(images, 3, axis=3)
    for name, figure in {
        "c": plots.plot_confusion_matrix(confusion_of(10), ODD),
        "s": plots.plot_samples(colour, labels, probs, ODD),
        "w": plots.plot_worst_errors(colour, labels, probs, ODD, ODD * 12),
        "p": plots.plot_per_class(report_of(ODD)),
        "a": plots.plot_augmentation(colour[:8], colour[:8], ODD),
    }.items():
        saved(figure, tmp_path / f"{name}.png")
        plots.save_figure(figure, tmp_path / f"{name}.svg")
        tags = {element.tag for element in ET.parse(tmp_path / f"{name}.svg").iter()}
        assert not any(tag.endswith("script") for tag in tags)
        assert "<script" not in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 300, 20, 3), (7, 20, 300, 1)])
def test_odd_sizes(shape, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.zeros(len(images), dtype=np.int64)
    probs = np.tile(np.array([0.1, 0.9], dtype=np.float32), (len(images), 1))
    saved(plots.plot_samples(images, labels, probs, ["a", "b"]), tmp_path / "s.png")
    names = [str(i) for i in range(len(images))]
    saved(plots.plot_worst_errors(images, labels, probs, ["a", "b"], names), tmp_path / "w.png")


def test_equal_figures_are_equal_files(tmp_path):
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        plots.save_figure(plots.plot_learning_curve(history(3), 2), tmp_path / name)
    for suffix in ("png", "svg"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in "ab")
        assert first.read_bytes() == second.read_bytes()
        assert b"date" not in first.read_bytes().lower()
    assert len(list(tmp_path.iterdir())) == 4


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'\.gif'; allowed: \.png, \.svg"):
        plots.save_figure(plots.plot_learning_curve([], None), tmp_path / "a.gif")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((WrongPathError, NoPermissionError), match="file"):
        plots.save_figure(plots.plot_learning_curve([], None), tmp_path / "file" / "l.png")


def test_import_is_light_and_drawing_needs_no_pyplot():
    code = (
        "import sys; from olhar.evaluation import plots, report;"
        "heavy = {'matplotlib', 'sklearn', 'scipy', 'torch'} & set(sys.modules);"
        "assert not heavy, heavy;"
        "plots.plot_confusion_matrix([[1, 0], [0, 1]], ['a', 'b']);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
