"""What a torch module of olhar's computes, as a chain of layers: what its graph is drawn from.

Does not know: ONNX files, or which layers are put together (folding does). Modules that olhar did
not build are not read here (see foreign).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from olhar.networks import backbone_modules as backbones
from olhar.networks import build
from olhar.networks.backbone_modules import ToSide
from olhar.networks.depthwise import DepthwiseConv2d
from olhar.networks.dropout import Dropout

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution: weight (O, I / groups, kh, kw), bias (O,) or None.

    `padding` is that of the top, left, bottom and right.
    """

    name: str
    weight: Array
    bias: Array | None
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Dense:
    """A dense layer: weight (O, I), bias (O,) or None."""

    name: str
    weight: Array
    bias: Array | None


@dataclass(frozen=True, eq=False)
class Affine:
    """x · scale + shift for each channel, (C,) float64: a batch norm, or the normalisation.

    `statistics` are a batch norm's own scale, bias, mean and variance, (C,) each, and `epsilon` is
    what it adds to the variance; the normalisation has none.
    """

    name: str
    scale: Array
    shift: Array
    statistics: Mapping[str, Array] = field(default_factory=dict)
    epsilon: float = 0.0


@dataclass(frozen=True, eq=False)
class Operator:
    """One standard operator, its attributes, and constants that it takes, by name.

    With `constant_first` they come before what it computes on, as in a product from the left.
    """

    name: str
    kind: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)
    constant_first: bool = False


@dataclass(frozen=True, eq=False)
class Branches:
    """Chains that all take what comes in, joined by one operator; an empty chain passes it on."""

    name: str
    kind: str
    chains: tuple[Chain, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Views:
    """Images (N, C, side, side) → all their views, one behind the other."""

    views: str
    side: int


@dataclass(frozen=True)
class Mean:
    """What was computed of all views, (V·N, D) → the weighted mean (N, D)."""

    views: str


@dataclass(frozen=True, eq=False)
class Foreign:
    """A network of another library, as torch's exporter drew it: normalised images → (N, `width`)."""

    graph: Any  # an onnx.GraphProto
    width: int


Layer = Conv | Dense | Affine | Operator | Branches | Views | Mean | Foreign
Chain = tuple[Layer, ...]


class UnknownModuleError(Exception):
    """A module that olhar did not build."""


def read_layers(module: nn.Module, name: str = "") -> Chain:
    """The layers of a module, in evaluation mode and on the CPU, in their order.

    They are named as their modules are. The modules of a plain sequence have only numbers there, so
    they are named by kind and count: conv1, pool1, dense1.

    Raises:
        UnknownModuleError: it holds a module that olhar did not build.
    """
    return tuple(_read(module, name))


def _read(module: nn.Module, name: str) -> Iterator[Layer]:
    if type(module) is nn.Sequential:
        yield from _sequence(module, name)
        return
    # Exactly these types: what inherits from one may compute something else.
    reader = _READERS.get(type(module))
    if reader is None:
        raise UnknownModuleError(type(module).__name__)
    yield from reader(module, name)


def _sequence(module: nn.Sequential, name: str) -> Iterator[Layer]:
    seen: Counter[str] = Counter()
    for number, child in module.named_children():
        kind = _KINDS.get(type(child))
        if name or kind is None:
            yield from _read(child, _join(name, number))
        else:
            seen[kind] += 1
            yield from _read(child, f"{kind}{seen[kind]}")


def _join(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part


def _children(module: nn.Module, name: str, *parts: str) -> Iterator[Layer]:
    for part in parts:
        yield from _read(module.get_submodule(part), _join(name, part))


def _array(value: torch.Tensor) -> Array:
    found: Array = value.detach().to("cpu", torch.float32).numpy()
    return found


def _optional(value: torch.Tensor | None) -> Array | None:
    return None if value is None else _array(value)


def _conv(module: Any, name: str) -> Iterator[Layer]:
    assert module.padding_mode == "zeros"
    assert module.dilation == (1, 1)
    weight, bias = _array(module.weight), _optional(module.bias)
    yield Conv(name, weight, bias, module.stride, 2 * module.padding, module.groups)


def _same_conv(module: Any, name: str) -> Iterator[Layer]:
    before, after = module.pads
    padding = (before, before, after, after)
    yield Conv(name, _array(module.weight), None, module.stride, padding, module.groups)


def read_dense(module: Any, name: str) -> Chain:
    """A dense layer, of whichever library."""
    return (Dense(name, _array(module.weight), _optional(module.bias)),)


def _batch_norm(module: Any, name: str) -> Iterator[Layer]:
    own = {
        "scale": _array(module.weight),
        "bias": _array(module.bias),
        "mean": _array(module.running_mean),
        "variance": _array(module.running_var),
    }
    exact = {key: value.astype(np.float64) for key, value in own.items()}
    scale = exact["scale"] / np.sqrt(exact["variance"] + module.eps)
    yield Affine(name, scale, exact["bias"] - exact["mean"] * scale, own, module.eps)


def _normalise(module: Any, name: str) -> Iterator[Layer]:
    scale, shift = (
        _array(part).astype(np.float64).ravel() for part in (module.scale, module.shift)
    )
    yield Affine(name or "normalise", scale, shift)


def _nothing(_module: nn.Module, _name: str) -> Iterator[Layer]:
    return iter(())


def _operator(kind: str, **attributes: Any) -> Callable[[Any, str], Iterator[Layer]]:
    return lambda _module, name: iter([Operator(name, kind, attributes)])


_LIMITS: Mapping[str, Array] = {
    "relu6.min": np.array(0, np.float32),
    "relu6.max": np.array(6, np.float32),
}  # one pair for all of them


def _relu6(_module: nn.Module, name: str) -> Iterator[Layer]:
    yield Operator(name, "Clip", constants=_LIMITS)


def _silu(_module: nn.Module, name: str) -> Iterator[Layer]:
    yield Branches(name, "Mul", ((), (Operator(f"{name}.sigmoid", "Sigmoid"),)))


def _max_pool(module: Any, name: str) -> Iterator[Layer]:
    assert module.dilation == 1
    attributes = _window(module.kernel_size, module.stride)
    if module.padding:
        attributes["pads"] = [module.padding] * 4
    if module.ceil_mode:
        attributes["ceil_mode"] = 1
    yield Operator(name, "MaxPool", attributes)


def _avg_pool(module: Any, name: str) -> Iterator[Layer]:
    yield Operator(name, "AveragePool", _window(module.kernel, module.kernel))


def _window(kernel: int, stride: int) -> dict[str, Any]:
    return {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}


def _to_side(module: Any, name: str) -> Iterator[Layer]:
    if not module.is_same:
        rows = _array(module.matrix)
        yield Operator(
            f"{name}.down", "MatMul", constants={f"{name}.rows": rows}, constant_first=True
        )
        columns = np.ascontiguousarray(rows.T)
        yield Operator(f"{name}.across", "MatMul", constants={f"{name}.columns": columns})


def _mean_of_places(name: str) -> Iterator[Layer]:
    yield Operator(_join(name, "pool"), "GlobalAveragePool")
    yield Operator(_join(name, "flatten"), "Flatten")


def _inverted_residual(module: Any, name: str) -> Iterator[Layer]:
    chain = read_layers(module.conv, _join(name, "conv"))
    if module.is_residual:
        yield Branches(_join(name, "add"), "Add", ((), chain))
    else:
        yield from chain


def _widening_block(module: Any, name: str) -> Iterator[Layer]:
    chain: list[Layer] = []
    if module.widens:
        chain += _children(module, name, "_expand_conv", "_bn0")
        chain += _relu6(module, _join(name, "_relu0"))
    chain += _children(module, name, "_depthwise_conv", "_bn1")
    chain += _relu6(module, _join(name, "_relu1"))
    chain += _children(module, name, "_project_conv", "_bn2")
    if module.is_residual:
        yield Branches(_join(name, "add"), "Add", ((), tuple(chain)))
    else:
        yield from chain


def _pooled(module: backbones.Tapped, name: str, chain: Sequence[str]) -> Iterator[Layer]:
    """What is left of a chain, and the means; those of a tap are drawn before what follows it."""
    for at, part in enumerate(chain):
        yield from _children(module, name, part)
        if part in module.scales:
            tap = _join(name, part)
            scale = {f"{tap}.scale": np.array(module.scales[part], np.float32)}
            means = (*_mean_of_places(tap), Operator(f"{tap}.scaled", "Mul", constants=scale))
            rest = tuple(_pooled(module, name, chain[at + 1 :]))
            yield Branches(f"{tap}.beside", "Concat", (means, rest), {"axis": 1})
            return
    yield from _mean_of_places(name)


def _efficientnet(module: backbones.EfficientNetLite, name: str) -> Iterator[Layer]:
    yield from _pooled(module, name, module.chain)
    yield from _children(module, name, "_fc")


def _mobilenet(module: backbones.MobileNetV2, name: str) -> Iterator[Layer]:
    yield from _pooled(module, name, module.chain)
    yield from _children(module, name, "classifier")


def _squeezenet(module: nn.Module, name: str) -> Iterator[Layer]:
    yield from _children(module, name, "features")
    yield from _mean_of_places(name)
    yield from _children(module, name, "classifier")


def _fire(module: nn.Module, name: str) -> Iterator[Layer]:
    yield from _children(module, name, "squeeze")
    yield Operator(_join(name, "squeeze.relu"), "Relu")
    halves = [
        read_layers(module.get_submodule(p), _join(name, p)) for p in ("expand1x1", "expand3x3")
    ]
    yield Branches(_join(name, "concat"), "Concat", tuple(halves), {"axis": 1})
    yield Operator(_join(name, "relu"), "Relu")


def _basic_block(module: Any, name: str) -> Iterator[Layer]:
    inner = (
        *_children(module, name, "conv1", "bn1"),
        Operator(_join(name, "relu1"), "Relu"),
        *_children(module, name, "conv2", "bn2"),
    )
    around = tuple(_children(module, name, "downsample")) if module.downsample is not None else ()
    yield Branches(_join(name, "add"), "Add", (inner, around))
    yield Operator(_join(name, "relu2"), "Relu")


def _resnet(module: nn.Module, name: str) -> Iterator[Layer]:
    yield from _children(module, name, "conv1", "bn1", "relu", "maxpool")
    yield from _children(module, name, "layer1", "layer2", "layer3", "layer4")
    yield from _mean_of_places(name)
    yield from _children(module, name, "fc")


def _vgg(module: nn.Module, name: str) -> Iterator[Layer]:
    yield from _children(module, name, "features", "pool")
    yield Operator(_join(name, "flatten"), "Flatten")
    yield from _children(module, name, "classifier")


_KINDS: Mapping[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    DepthwiseConv2d: "conv",
    build.Whiten: "whiten",
    nn.Linear: "dense",
    nn.BatchNorm2d: "norm",
    nn.MaxPool2d: "pool",
    build.AvgPool: "pool",
    nn.AdaptiveMaxPool2d: "pool",
    nn.AdaptiveAvgPool2d: "pool",
    backbones.BasicBlock: "block",
    nn.Flatten: "flatten",
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.SiLU: "silu",
    Dropout: "dropout",
}
_READERS: Mapping[type[nn.Module], Callable[[Any, str], Iterable[Layer]]] = {
    nn.Conv2d: _conv,
    DepthwiseConv2d: _conv,
    build.Whiten: _conv,
    nn.Linear: read_dense,
    nn.BatchNorm2d: _batch_norm,
    build.Normalise: _normalise,
    nn.MaxPool2d: _max_pool,
    build.AvgPool: _avg_pool,
    nn.AdaptiveMaxPool2d: _operator("GlobalMaxPool"),
    nn.AdaptiveAvgPool2d: _operator("GlobalAveragePool"),
    nn.Flatten: _operator("Flatten"),
    nn.ReLU: _operator("Relu"),
    nn.ReLU6: _relu6,
    nn.Tanh: _operator("Tanh"),
    nn.Sigmoid: _operator("Sigmoid"),
    nn.SiLU: _silu,
    Dropout: _nothing,
    nn.Identity: _nothing,
    ToSide: _to_side,
    backbones.SameConv2d: _same_conv,
    backbones.WideningBlock: _widening_block,
    backbones.EfficientNetLite: _efficientnet,
    backbones.InvertedResidual: _inverted_residual,
    backbones.MobileNetV2: _mobilenet,
    backbones.Fire: _fire,
    backbones.SqueezeNet: _squeezenet,
    backbones.BasicBlock: _basic_block,
    backbones.ResNet18: _resnet,
    backbones.VGG16: _vgg,
}
