"""`--folds` and the curve over photos, as a user meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import DATA, needs_data, olhar
from olhar.errors import ModelError
from olhar.run import Run

WEIGHTS = f"{DATA}/weights/squeezenet1_0_imagenet.pth"
BACKBONE = ("--backbone", "squeezenet1_0", "--weights", WEIGHTS)
EACH = 24  # photos of a class


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some real photos of ants and bees, a folder a class."""
    root = tmp_path_factory.mktemp("photos")
    for name in ("ants", "bees"):
        (root / name).mkdir()
        for photo in sorted(Path(DATA, "hymenoptera_data", "train", name).iterdir())[:EACH]:
            shutil.copy(photo, root / name)
    return root


@pytest.fixture(scope="module")
def plain(photos: Path, tmp_path_factory: pytest.TempPathFactory):
    """A head without folds: (its run folder, what the command said)."""
    run = tmp_path_factory.mktemp("runs") / "plain"
    done = olhar("train", "--data", photos, *BACKBONE, "--size", 96, "--run", run)
    assert done.status == 0, done.err
    return run, done


@needs_data
def test_folds_measure_on_all_photos_and_change_nothing_of_the_model(
    photos: Path, plain, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--data", photos, *BACKBONE, "--size", 96, "--folds", 4]
    done = olhar("train", *words, "--run", run, "--json")
    assert done.status == 0, done.err
    found = done.json["cross_validation"]
    assert (found["folds"], found["n"], found["groups"]) == (4, 2 * EACH, 2 * EACH)
    assert found["splits"] == ["train", "val", "test"]
    assert len(found["fold_accuracies"]) == 4
    assert found["interval"][0] < found["accuracy"] <= found["interval"][1]
    assert {one["name"]: one["support"] for one in found["per_class"]} == {
        "ants": EACH,
        "bees": EACH,
    }
    assert "--folds 5" not in done.err
    written = json.loads((run / "metrics.json").read_text())
    assert written["cross_validation"] == found
    assert written["learning_curve"] == done.json["learning_curve"]
    weights = [one / "model" / "model.safetensors" for one in (run, plain[0])]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "### Cross-validation" in card
    assert "once more for cross-validation" in card
    assert "### Validação cruzada" in (run / "README.pt-BR.md").read_text(encoding="utf-8")
    assert "--folds 4" in Run(run).config["command"]
    checked = olhar("card", "--check", run)
    assert checked.status == 0, checked.out + checked.err


@needs_data
def test_photos_that_belong_together_are_in_one_fold(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--data", photos, *BACKBONE, "--size", 96, "--folds", 3]
    done = olhar("train", *words, "--group-by", r"(?:ants|bees)/\d", "--run", run, "--json")
    assert done.status == 0, done.err
    found = done.json["cross_validation"]
    assert found["n"] == 2 * EACH
    assert 2 < found["groups"] < 2 * EACH
    assert "were in the same fold" in (run / "README.md").read_text(encoding="utf-8")


@needs_data
def test_a_class_that_stays_together_cannot_be_folded(photos: Path, tmp_path: Path) -> None:
    words = ["--data", photos, *BACKBONE, "--size", 96, "--folds", 3, "--run", tmp_path / "run"]
    done = olhar("train", *words, "--group-by", r"bees|ants/\d")
    assert done.status == 2
    assert "the photos of class 'bees' stay together" in done.err
    assert not (tmp_path / "run").exists()


@needs_data
def test_a_small_test_split_offers_folds_and_the_curve_is_always_there(plain) -> None:
    run, done = plain
    assert "--folds 5 measures by cross-validation on 48 photos" in done.err
    curve = Run(run).photo_curve
    assert curve is not None
    assert [point.photos for point in curve.points] == sorted(
        point.photos for point in curve.points
    )
    assert curve.twice.photos == 2 * curve.now.photos
    assert str(curve.sentence()) in done.out
    for name in ("learning_curve_photos.png", "learning_curve_photos.svg"):
        assert (run / name).is_file()
    assert "learning_curve_photos.png" in (run / "README.md").read_text(encoding="utf-8")
    assert Run(run).cross_validation is None


@needs_data
def test_damaged_estimates_are_told_by_the_name_of_the_file(plain, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(plain[0], run)
    record = json.loads((run / "metrics.json").read_text())
    record["learning_curve"]["points"][0]["accuracy"] = "many"
    (run / "metrics.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match=r"metrics\.json"):
        _read = Run(run).estimates
    assert Run(run, lenient=True).photo_curve is None
    told = olhar("card", run)
    assert told.status == 2
    assert "metrics.json" in told.err
    assert "Traceback" not in told.err


@needs_data
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--network", "lenet5", "--folds", 5], "add --backbone mobilenet_v2 --mode head"),
        ([*BACKBONE, "--mode", "finetune", "--folds", 5], "--mode head"),
        ([*BACKBONE, "--mode", "top", "--folds", 5], "--mode head"),
        ([*BACKBONE, "--folds", 0], "1 to 20"),
        ([*BACKBONE, "--folds", "five"], "1 to 20"),
    ],
)
def test_folds_that_cannot_be_are_refused(
    words: list[object], says: str, photos: Path, tmp_path: Path
) -> None:
    done = olhar("train", "--data", photos, *words, "--run", tmp_path / "run")
    assert done.status == 2
    assert says in done.err
    assert not list(tmp_path.iterdir())


@needs_data
def test_more_folds_than_photos_are_refused_before_the_run_folder(
    photos: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    for name in ("ants", "bees"):
        (few / name).mkdir(parents=True)
        for photo in sorted((photos / name).iterdir())[:4]:
            shutil.copy(photo, few / name)
    words = ["--data", few, *BACKBONE, "--size", 64, "--folds", 9]
    done = olhar("train", *words, "--run", tmp_path / "run")
    assert done.status == 2
    assert "take fewer folds" in done.err
    assert not (tmp_path / "run").exists()
