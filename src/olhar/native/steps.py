"""The steps of a network, as C computes them. Values lie as (H, W, C).

Views, temperature and softmax are no steps: whoever runs a network calls it once for each view and divides
the mean of the logits. What clips (ReLU, ReLU6) is done by the step before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, int, int]  # (H, W, C)
Pair = tuple[int, int]
PIXELS = "images"
# Of these each number of the output stands where the number lay that it comes from.
TABLES = frozenset({"tanh", "sigmoid", "silu"})
CLIPPING = frozenset({"conv", "depthwise", "dense", "add", "clip"})  # these take limits


@dataclass(frozen=True, eq=False)
class Step:
    """One operator of a network.

    Attributes:
        kind: pixels (uint8 → (x - mean) · scale), conv, depthwise, dense, max_pool, avg_pool, add,
            concat, rows (a matrix over rows), columns (over columns), clip, tanh, sigmoid or silu.
            x · scale + shift for each channel is a depthwise convolution of 1x1.
        name: of the layer in `model.onnx`.
        inputs: names of the values that it takes.
        output: name of the value that it gives.
        in_shapes: of the inputs.
        out_shape: of the output.
        weight: float32: conv (kh, kw, I, O), depthwise (kh, kw, C), dense (I, O), pixels: scale (C,),
            rows (H', H), columns (W', W).
        bias: float32 (O,); pixels: mean (C,).
        kernel: height and width of the window.
        stride: down and across.
        pads: of the top, left, bottom and right.
        low: no number of the output is below it.
        high: or above it.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    in_shapes: tuple[Shape, ...]
    out_shape: Shape
    weight: Array | None = None
    bias: Array | None = None
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    low: float = -math.inf
    high: float = math.inf

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        if self.weight is None or self.kind == "pixels":
            return 0
        if self.kind == "conv":
            return int(self.weight.size) * self.out_shape[0] * self.out_shape[1]
        if self.kind == "depthwise":
            return math.prod(self.out_shape) * math.prod(self.kernel)
        if self.kind in {"rows", "columns"}:
            return math.prod(self.out_shape) * int(self.weight.shape[1])
        return int(self.weight.size)


@dataclass(frozen=True, eq=False)
class Network:
    """A network's steps in the order in which they are computed.

    Attributes:
        steps: the first takes the image, `PIXELS`, uint8.
        shape: (H, W, C) of the image.
        logits: name of the value whose softmax, after the temperature, is the answer; (1, 1, K).
        features: name of what the last layer takes, where the model has it as an output.
        temperature: divides the logits.
    """

    steps: tuple[Step, ...]
    shape: Shape
    logits: str
    features: str | None
    temperature: float

    @property
    def classes(self) -> int:
        """How many classes."""
        return self.steps[-1].out_shape[2]

    @property
    def macs(self) -> int:
        """Multiply-adds for one view of one image."""
        return sum(step.macs for step in self.steps)
