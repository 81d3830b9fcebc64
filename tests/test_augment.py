"""Augmentations: shapes, limits, purity, and that each does what its name says."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from olhar.training.augment import affine, augment_normalised, augment_pixels, colour, cutout, shift
from olhar.training.recipe import Recipe


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(count: int = 16, side: int = 12, channels: int = 3) -> torch.Tensor:
    shape = (count, side, side, channels)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(1))


@given(
    count=st.integers(1, 5),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    share=st.floats(0, 0.5),
    flip=st.booleans(),
    seed=st.integers(0, 9),
)
def test_shift_moves_pixels_and_makes_none_up(
    count: int, height: int, width: int, channels: int, share: float, flip: bool, seed: int
) -> None:
    images = torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8)
    before = images.clone()
    moved = shift(images, share, generator(seed), flip=flip)
    assert moved.shape == images.shape
    assert moved.dtype == torch.uint8
    assert torch.equal(images, before)
    for old, new in zip(images, moved, strict=True):
        assert set(map(tuple, new.view(-1, channels).tolist())) <= set(
            map(tuple, old.view(-1, channels).tolist())
        )
    again = shift(images, share, generator(seed), flip=flip)
    assert torch.equal(moved, again)


def test_flip_alone_mirrors_about_half() -> None:
    images = pixels(400)
    moved = shift(images, 0.0, generator(), flip=True)
    mirrored = [torch.equal(new, old.flip(1)) for old, new in zip(images, moved, strict=True)]
    kept = [torch.equal(new, old) for old, new in zip(images, moved, strict=True)]
    assert sum(mirrored) + sum(kept) == 400
    assert 150 < sum(mirrored) < 250


def test_shift_reaches_as_far_as_its_share_and_no_farther() -> None:
    images = torch.zeros(500, 20, 20, 1, dtype=torch.uint8)
    images[:, 10, 10] = 255
    moved = shift(images, 0.1, generator(), flip=False)
    places = moved.view(500, -1).argmax(1)
    rows, columns = places // 20 - 10, places % 20 - 10
    for offsets in (rows, columns):
        assert (offsets.min().item(), offsets.max().item()) == (-2, 2)


def test_affine_with_nothing_to_do_changes_nothing() -> None:
    images = torch.rand(4, 3, 9, 9)
    torch.testing.assert_close(affine(images, Recipe(), generator()), images)


@pytest.mark.parametrize("name", ["rotate", "zoom", "shear", "translate"])
def test_each_affine_setting_does_something(name: str) -> None:
    images = torch.rand(8, 1, 16, 16)
    recipe = Recipe(**{name: 0.2 if name in {"zoom", "translate"} else 20})
    changed = affine(images, recipe, generator())
    assert changed.shape == images.shape
    assert (changed - images).abs().mean() > 0.01
    assert torch.equal(changed, affine(images, recipe, generator()))


def test_rotation_by_a_quarter_turn() -> None:
    image = torch.rand(1, 1, 8, 8)
    turned = affine(image, Recipe(rotate=90), _always_highest())
    torch.testing.assert_close(turned, image.rot90(1, (2, 3)), atol=1e-2, rtol=0)


@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_affine_is_what_torch_makes_of_the_same_matrices(
    height: int, width: int, seed: int
) -> None:
    recipe = Recipe(rotate=30, shear=20, zoom=0.3, translate=0.2)
    images = torch.rand(3, 1, height, width)
    turn, slant, zoom, right, down = torch.rand(5, 3, generator=generator(seed)) * 2 - 1
    turn, slant = (turn * 30).deg2rad(), (slant * 20).deg2rad().tan()
    rotation = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], 1).view(3, 2, 2)
    sheared = torch.eye(2).repeat(3, 1, 1)
    sheared[:, 0, 1] = slant
    linear = rotation @ sheared / (1 + 0.3 * zoom).view(3, 1, 1)
    matrices = torch.cat([linear, torch.stack([right, down], 1).unsqueeze(2) * 0.4], 2)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    expected = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(affine(images, recipe, generator(seed)), expected)


def _always_highest() -> torch.Generator:
    """A generator whose first number is as good as 1: the largest change in one direction."""
    for seed in range(200_000):
        candidate = torch.Generator().manual_seed(seed)
        if torch.rand(1, generator=candidate).item() > 0.99999:
            return torch.Generator().manual_seed(seed)
    raise AssertionError("no such seed")


def test_cutout_blanks_a_square() -> None:
    images = torch.ones(200, 3, 20, 20)
    cut = cutout(images, 0.3, generator())
    blank = (cut == 0).all(1).sum((1, 2))
    assert blank.max() == 36
    assert blank.min() >= 9
    assert torch.equal((cut == 0).any(1), (cut == 0).all(1))


def test_colour_keeps_what_is_equal_equal() -> None:
    images = torch.rand(50, 3, 4, 4)
    images[:, :, 0, 0] = images[:, :, 1, 1]
    changed = colour(images, 0.4, generator())
    torch.testing.assert_close(changed[:, :, 0, 0], changed[:, :, 1, 1])
    assert (changed - images).abs().mean() > 0.05
    grey = torch.rand(8, 1, 4, 4)
    assert colour(grey, 0.4, generator()).shape == grey.shape


def test_a_recipe_without_augmentation_is_the_identity() -> None:
    images = pixels()
    assert augment_pixels(images, Recipe(), generator()) is images
    normalised = torch.rand(2, 3, 5, 5)
    assert augment_normalised(normalised, Recipe(flip=True), generator()) is normalised


def test_translation_is_done_once() -> None:
    recipe = Recipe(translate=0.2, rotate=5)
    images = pixels()
    assert augment_pixels(images, recipe, generator()) is images
