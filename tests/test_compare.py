"""Real runs side by side; the tests against published numbers; runs that cannot be compared."""

import argparse
import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom

import olhar
from conftest import olhar as command
from olhar.cli import compare as compare_command
from olhar.errors import DataError, MissingFileError, ModelError
from olhar.evaluation.compare import Comparison, Pair, RunScores, compare_runs
from olhar.evaluation.paired import holm, mcnemar_mid_p, paired_interval
from olhar.evaluation.plots import plot_curves


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """digits: hardly trained; trained; trained with another seed."""
    folder = tmp_path_factory.mktemp("runs")
    olhar.train("digits", "lenet5", epochs=1, run=folder / "short")
    olhar.train("digits", "lenet5", epochs=6, run=folder / "a")
    olhar.train("digits", "lenet5", epochs=6, seed=1, run=folder / "b")
    return folder


@pytest.fixture
def copied(runs, tmp_path):
    """Of run `a`, to be changed."""
    shutil.copytree(runs / "a", tmp_path / "copy")
    return tmp_path / "copy"


def change_metrics(run, change):
    record = json.loads((run / "metrics.json").read_text())
    change(record)
    (run / "metrics.json").write_text(json.dumps(record))


def test_the_published_p_values():
    # Fagerland, Lydersen and Laake 2013, table 5: airway hyper-responsiveness, complete response.
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.039, abs=5e-4)
    assert mcnemar_mid_p(6, 16) == pytest.approx(0.035, abs=5e-4)


@pytest.mark.parametrize(
    ("b", "c"), [(0, 0), (0, 1), (3, 3), (4, 9), (9, 4), (480, 520), (0, 2000)]
)
def test_p_values_are_those_of_the_binomial(b, c):
    n, fewer = b + c, min(b, c)
    expected = min(1, 2 * binom.cdf(fewer, n, 0.5)) - binom.pmf(fewer, n, 0.5)
    if b == c:
        expected = 1 - binom.pmf(b, n, 0.5) / 2 if n else 1
    assert mcnemar_mid_p(b, c) == pytest.approx(expected, abs=1e-9)


def test_the_published_interval():
    # Newcombe 1998 (paired), method 10, his first example.
    assert paired_interval(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    low, high = paired_interval(12, 36, 2, 0)
    assert paired_interval(12, 2, 36, 0) == pytest.approx((-high, -low))


@pytest.mark.parametrize("counts", [(5, 0, 0, 0), (0, 5, 0, 0), (0, 0, 0, 5), (5, 0, 0, 5)])
def test_intervals_at_the_ends(counts):
    low, high = paired_interval(*counts)
    difference = (counts[1] - counts[2]) / sum(counts)
    assert -1 <= low <= difference <= high <= 1


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _draw in range(1000):
        both, first, second, neither = rng.multinomial(200, [0.8, 0.09, 0.04, 0.07]).tolist()
        low, high = paired_interval(both, first, second, neither)
        held += low <= 0.05 <= high
    assert 930 <= held <= 975


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_three_runs(runs):
    found = compare_runs([runs / "short", runs / "a", str(runs / "b")])
    accuracies = [one.accuracy for one in found.runs]
    assert accuracies == sorted(accuracies, reverse=True)
    assert found.runs[-1].run == (runs / "short").as_posix()
    assert (found.n, found.split, found.data) == (360, "test", "digits")
    assert [one.epochs for one in found.runs] == [6, 6, 1]
    assert all(one.parameters > 1000 and one.seconds > 0 for one in found.runs)
    close, far = found.pairs
    assert far.real
    assert far.p_adjusted < 0.001
    assert far.interval[0] > 0
    assert not close.real
    for pair, other in zip(found.pairs, found.runs[1:], strict=True):
        assert pair.difference == pytest.approx(found.runs[0].accuracy - other.accuracy)
        assert pair.interval[0] <= pair.difference <= pair.interval[1]
    assert set(found.settings) == {"recipe.epochs", "recipe.seed"}
    assert found.settings["recipe.epochs"] == [6, 6, 1]
    text = found.as_text()
    assert "360 images" in text
    assert f"…{(runs / 'short').as_posix()[-47:]}" in text or "…" not in text
    assert "Real? Yes: of 360 images" in text
    assert "Real? No: " in text
    assert "recipe.seed" in text


def test_the_command_draws_the_curves(runs, tmp_path):
    for name in ("curves.png", "curves.svg"):
        done = command("compare", runs / "a", runs / "short", "--curves", tmp_path / name)
        assert done.status == 0, done.err
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] > 1000
    refused = command("compare", runs / "a", runs / "b", "--curves", tmp_path / "curves.pdf")
    assert refused.status == 2
    assert ".png, .svg" in refused.err
    assert not (tmp_path / "curves.pdf").exists()


def test_curves_of_one_epoch_and_of_many_are_drawn():
    row = {"val_accuracy": 0.5, "seconds": 2.0}
    histories = [
        (f"run {count}", [{**row, "epoch": 1.0 + index} for index in range(count)])
        for count in (0, 1, 2, 9, 40)
    ]
    panels = plot_curves(histories).axes
    assert [len(line.get_xdata()) for line in panels[0].lines] == [0, 1, 2, 9, 40]
    assert panels[1].lines[4].get_xdata()[-1] == 80.0  # seconds add up


def test_a_run_beside_itself(runs):
    found = compare_runs([runs / "a", runs / "a"])
    assert found.pairs[0].p == 1
    assert "No: both are right on exactly the same images" in found.as_text()
    assert found.settings == {}
    assert found.as_markdown().count("\n| --- ") == 1


def odd_comparison():
    odd = 'a|b\n<script>alert(1)</script>😀 `x` [y](z) {n} "' + "w" * 200
    scores = [RunScores(odd, "n", 0.9, [0.8, 0.95], 0.9, None, 3, 1.5) for _run in range(2)]
    pair = Pair(odd, odd, 10, 1, 0, 0.1, [-0.1, 0.3], 0.5, 0.5, real=False)
    return Comparison("test", 10, odd, scores, [pair], {"data.name": [odd, None]})


def test_any_name_is_text():
    found = odd_comparison()
    lines = found.as_markdown().splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) == 4 + 3
    for line in tables:
        assert line.replace("\\|", "").count("|") in {8, 4}
    assert "<script>" not in found.as_markdown()
    page = found._repr_html_()
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)
    parser.feed(page)
    assert set(tags) == {"p", "table", "thead", "tbody", "tr", "th", "td"}
    assert "w" * 47 in found.as_text()
    assert max(map(len, found.as_text().splitlines())) < 300
    assert json.loads(json.dumps(found.to_dict()))["runs"][0]["parameters"] is None


def test_fewer_than_two(runs):
    with pytest.raises(DataError, match="1 run was given; give two or more"):
        compare_runs([runs / "a"])


def test_other_images_of_the_same_data(runs, copied):
    head, *rows = (copied / "predictions.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    cells.sort(key=lambda row: row[1] != row[2])  # the right ones first
    item = cells[0][0]

    def write():
        (copied / "predictions.csv").write_text("\n".join([head, *map(",".join, cells)]))

    cells[0][0] = f"{item}000"
    write()
    with pytest.raises(DataError, match=r"images: 360 and 360, of which 359 .* --split-seed"):
        compare_runs([runs / "a", copied])
    cells[0][:3] = [item, "x", "x"]
    write()
    with pytest.raises(DataError, match=f"1 images different true classes, such as {item};"):
        compare_runs([runs / "a", copied])


def test_another_split_name_or_other_data(runs, copied):
    change_metrics(copied, lambda record: record.update(split="val"))
    with pytest.raises(DataError, match=r"on the test split and .* on the val split"):
        compare_runs([runs / "a", copied])
    found = compare_runs([copied, copied])
    assert found.split == "val"
    change_metrics(copied, lambda record: record.update(split="test"))
    change_metrics(copied, lambda record: record["data"].update(name="mnist", fingerprint="0" * 64))
    with pytest.raises(DataError, match=r"different data: digits .* and mnist .*000000000000"):
        compare_runs([runs / "a", copied])


def test_a_run_that_has_not_ended(runs, copied):
    (copied / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"has not ended.*olhar resume"):
        compare_runs([runs / "a", copied])
    with pytest.raises(MissingFileError, match="no run folder"):
        compare_runs([runs / "a", runs])


def test_a_tampered_run_is_noticed(runs, copied):
    change_metrics(copied, lambda record: record.update(accuracy=0.999))
    with pytest.raises(ModelError, match=r"contradicts itself.*99\.9000%"):
        compare_runs([runs / "a", copied])


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(data=None),
        lambda record: record["data"].update(fingerprint=5),
        lambda record: record.update(n=0),
        lambda record: record.update(accuracy="high"),
        lambda record: record.update(intervals={}),
        lambda record: record.pop("confusion_matrix"),
    ],
)
def test_damaged_metrics(runs, copied, change):
    change_metrics(copied, change)
    with pytest.raises(ModelError):
        compare_runs([runs / "a", copied])


@pytest.mark.parametrize("content", [b"", b"index,label\n1,2\n", b"\xff\xfe", b"a,b,c,d\n1,2,3\n"])
def test_damaged_predictions(runs, copied, content):
    (copied / "predictions.csv").write_bytes(content)
    with pytest.raises(ModelError):
        compare_runs([runs / "a", copied])


def test_the_command(runs, capsys):
    parser = argparse.ArgumentParser()
    compare_command.add_command(parser.add_subparsers())
    words = ["compare", str(runs / "a"), str(runs / "short")]
    outs = []
    for flags in ([], ["--markdown"], ["--json"]):
        args = parser.parse_args([*words, *flags])
        assert args.run_command(args) == 0
        outs.append(capsys.readouterr().out)
    found = compare_runs(words[1:])
    assert outs[0] == found.as_text() + "\n"
    assert outs[1] == found.as_markdown()
    assert json.loads(outs[2]) == found.to_dict()
