"""Augmentations: pure functions on a batch.

Each takes images and a generator and returns images of the same shape. Whole-pixel ones work on
uint8 images (N, H, W, C) as the pool holds them; the others on normalised images (N, C, H, W)
float32. Random numbers are drawn on the CPU, so that a batch is a function of the seed on every
device.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from olhar.training.recipe import Recipe


def augment_pixels(
    images: torch.Tensor, recipe: Recipe, generator: torch.Generator
) -> torch.Tensor:
    """What `recipe` asks for on pixels (N, H, W, C) uint8: flip, and translate where it is alone."""
    share = 0.0 if _is_affine(recipe) else recipe.translate
    if recipe.flip or share:
        return shift(images, share, generator, flip=recipe.flip)
    return images


def augment_normalised(
    images: torch.Tensor, recipe: Recipe, generator: torch.Generator
) -> torch.Tensor:
    """What `recipe` asks for on normalised images (N, C, H, W) float32: all the rest."""
    if _is_affine(recipe):
        images = affine(images, recipe, generator)
    if recipe.colour:
        images = colour(images, recipe.colour, generator)
    if recipe.cutout:
        images = cutout(images, recipe.cutout, generator)
    return images


def preview_augmented(
    images: torch.Tensor, recipe: Recipe, normalise: torch.nn.Module, generator: torch.Generator
) -> torch.Tensor:
    """Images (N, H, W, C) uint8 → what the network would see of them in training, as pixels again."""
    pixels = augment_pixels(images, recipe, generator).permute(0, 3, 1, 2)
    seen = augment_normalised(normalise(pixels), recipe, generator)
    black, white = (normalise(torch.full_like(pixels[:1], value)) for value in (0, 255))
    shown: torch.Tensor = ((seen - black) / (white - black) * 255).round().clamp(0, 255)
    return shown.to(torch.uint8).permute(0, 2, 3, 1)


def _is_affine(recipe: Recipe) -> bool:
    return bool(recipe.rotate or recipe.zoom or recipe.shear)


def shift(
    images: torch.Tensor, share: float, generator: torch.Generator, *, flip: bool
) -> torch.Tensor:
    """Shift each image by whole pixels, and mirror half of them; edges are reflected.

    Source: Krizhevsky et al. 2012, section 4.1, with reflection instead of larger crops.

    Args:
        images: (N, H, W, C) uint8.
        share: largest shift each way, as a share of the side.
        generator: where the random numbers come from.
        flip: whether to mirror left to right with probability 1/2.
    """
    count, height, width, channels = images.shape
    reach = round(share * min(height, width))
    down, right = (_whole(count, reach, generator) for _ in range(2))
    rows = _reflected(torch.arange(height) + down, height)  # (N, H)
    columns = _reflected(torch.arange(width) + right, width)  # (N, W)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    first = torch.arange(count).view(-1, 1, 1) * height * width
    places = first + rows.unsqueeze(2) * width + columns.unsqueeze(1)  # (N, H, W)
    pixels = images.reshape(-1, channels)
    moved = pixels.index_select(0, places.view(-1).to(images.device))
    return moved.view(images.shape)


def shrink(images: torch.Tensor) -> torch.Tensor:
    """(N, H, W, C) uint8 → three quarters of the sides, bilinear with antialiasing.

    Source: Howard 2018, the progressive resizing of fast.ai's DAWNBench entries.
    """
    height, width = images.shape[1:3]
    smaller = F.interpolate(
        images.permute(
            0, 3, 1, 2
        ),  # uint8 in channels-last order has a path of its own: 8 times as fast
        size=(height * 3 // 4, width * 3 // 4),
        mode="bilinear",
        antialias=True,
    )
    return smaller.permute(0, 2, 3, 1)


def _whole(count: int, reach: int, generator: torch.Generator) -> torch.Tensor:
    """(N, 1) whole numbers from -reach to reach."""
    return torch.randint(-reach, reach + 1, (count, 1), generator=generator)


def _reflected(places: torch.Tensor, side: int) -> torch.Tensor:
    """Indices beyond 0..side-1, reflected at the edges."""
    places = places.abs()
    return torch.where(places >= side, 2 * (side - 1) - places, places).clamp(min=0)


def affine(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Rotate, shear, scale and shift each image; bilinear, edges repeated.

    Args:
        images: (N, C, H, W) float32.
        recipe: its `rotate`, `shear`, `zoom` and `translate` are the largest changes either way.
        generator: where the random numbers come from.
    """
    angle = _spread(images, math.radians(recipe.rotate), generator)
    slant = torch.tan(_spread(images, math.radians(recipe.shear), generator))
    scale = 1 / (1 + _spread(images, recipe.zoom, generator))
    right = _spread(images, 2 * recipe.translate, generator)
    down = _spread(images, 2 * recipe.translate, generator)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    # F.affine_grid multiplies out every place; rows and columns apart take a quarter of the time.
    height, width = images.shape[2:]
    y, x = (_centres(side, images.device) for side in (height, width))
    of_row = torch.stack([(cos * slant - sin), (sin * slant + cos)], 1)
    of_row = of_row.unsqueeze(2) * y + torch.stack([right, down], 1).unsqueeze(2)  # (N, 2, H)
    of_column = torch.stack([cos, sin], 1).unsqueeze(2) * x  # (N, 2, W)
    grid = (of_row.unsqueeze(3) + of_column.unsqueeze(2)).permute(0, 2, 3, 1)  # (N, H, W, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _centres(side: int, device: torch.device) -> torch.Tensor:
    """Where pixels' centres are, (side,) float32, the edges being at -1 and 1."""
    return (2 * torch.arange(side, device=device) + 1) / side - 1


def colour(images: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Change brightness, contrast and (of colour images) saturation of each image.

    Source: Howard 2013, "Some Improvements on Deep Convolutional Neural Network Based Image
    Classification", section 2, in normalised units.

    Args:
        images: (N, C, H, W) float32.
        strength: largest change of each, as a share; brightness in standard deviations.
        generator: where the random numbers come from.
    """
    brightness, contrast, saturation = (
        _spread(images, strength, generator).view(-1, 1, 1, 1) for _ in range(3)
    )
    if images.shape[1] == 3:
        grey = images.mean(1, keepdim=True)
        images = torch.lerp(grey, images, 1 + saturation)
    middle = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(middle, images, 1 + contrast) + brightness


def cutout(images: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Set a square of each image, anywhere, to the mean of the training images (0).

    Source: DeVries and Taylor 2017, "Improved Regularization of Convolutional Neural Networks with
    Cutout", section 3.

    Args:
        images: (N, C, H, W) float32.
        share: side of the square, as a share of the image's side.
        generator: where the random numbers come from.
    """
    height, width = images.shape[2:]
    half = share * min(height, width) / 2
    away = []
    for side, shape in ((height, (1, 1, -1, 1)), (width, (1, 1, 1, -1))):
        centre = torch.rand(len(images), generator=generator).to(images.device) * side
        places = torch.arange(side, device=images.device).view(shape) + 0.5
        away.append((places - centre.view(-1, 1, 1, 1)).abs() > half)
    return images * (away[0] | away[1])


def _spread(images: torch.Tensor, reach: float, generator: torch.Generator) -> torch.Tensor:
    """(N,) float32, evenly spread from -reach to reach."""
    drawn = torch.rand(len(images), generator=generator)
    return ((2 * drawn - 1) * reach).to(images.device)
