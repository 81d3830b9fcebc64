"""Augmentations: pure functions on a batch of normalised images.

Each takes images (N, C, H, W) float32 and a generator, and returns images of the same shape. They
draw one random number an image from the generator, so a batch is a function of the seed.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from olhar.training.recipe import Recipe


def augment(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """All augmentations that `recipe` asks for."""
    if recipe.flip:
        images = flip(images, generator)
    if recipe.rotate or recipe.zoom:
        images = affine(images, recipe.rotate, recipe.zoom, recipe.translate, generator)
    elif recipe.translate:
        images = translate(images, recipe.translate, generator)
    return images


def flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = _uniform(images, generator) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


def translate(images: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by whole pixels, up to `share` of its side, each way; edges are reflected.

    Source: Krizhevsky et al. 2012, section 4.1, with reflection instead of larger crops.
    """
    count, _, height, width = images.shape
    reach = max(1, round(share * min(height, width)))
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    choices = 2 * reach + 1
    places = (_uniform(images, generator) * choices * choices).long()  # (N,)
    result = torch.empty_like(images)
    order = places.argsort()
    bounds = torch.bincount(places, minlength=choices * choices).cumsum(0).tolist()
    start = 0
    for place, end in enumerate(bounds):
        if end > start:
            members, top, left = order[start:end], place // choices, place % choices
            window = padded[:, :, top : top + height, left : left + width]
            result[members] = window[members]
            start = end
    assert start == count
    return result


def affine(
    images: torch.Tensor, degrees: float, zoom: float, share: float, generator: torch.Generator
) -> torch.Tensor:
    """Rotate, scale and shift each image; bilinear, edges repeated.

    Args:
        images: (N, C, H, W) float32.
        degrees: largest rotation either way.
        zoom: largest change of scale either way, as a share.
        share: largest shift either way, as a share of the side.
        generator: where the random numbers come from.
    """
    angle = (2 * _uniform(images, generator) - 1) * math.radians(degrees)
    scale = 1 / (1 + (2 * _uniform(images, generator) - 1) * zoom)
    right = (2 * _uniform(images, generator) - 1) * 2 * share
    down = (2 * _uniform(images, generator) - 1) * 2 * share
    cos, sin = angle.cos() * scale, angle.sin() * scale
    matrix = torch.stack([cos, -sin, right, sin, cos, down], 1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(
        images, grid.to(images.dtype), mode="bilinear", padding_mode="border", align_corners=False
    )


def _uniform(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(N,) float32 in [0, 1), drawn on the CPU so that every device sees the same numbers."""
    return torch.rand(len(images), generator=generator).to(images.device)
