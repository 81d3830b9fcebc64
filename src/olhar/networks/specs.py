"""Networks as tables: names, settings, layers and their arithmetic. Torch-free.

Does not know: weights, images, or how a layer computes (networks.build does).
Each family is a function from (settings, input side) to a list of `Layer`s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from olhar.errors import ConfigError, NetworkSizeError, unknown_name
from olhar.i18n import Text, _
from olhar.networks import cnn_names
from olhar.networks.backbones import BACKBONES, SMALLEST_SIZE, count_beside, split_adapter
from olhar.settings import Name, Number, Setting, Table, Whole

Settings = Mapping[str, Any]
_RATE = Number(0, 0.95)
_GLOBAL_POOLS = frozenset({"global_max_pool", "global_avg_pool"})
# Of any network; which of them one has, and with which defaults, its family says.
SETTINGS: Table = {
    one.name: one
    for one in (
        Setting("width", Whole(1, 65_536), 32, _("units of dense layers, or filters")),
        Setting("blocks", Whole(1, 8), 2, _("blocks of two convolutions")),
        cnn_names.DENSE,
        Setting("dropout", _RATE, 0.0, _("share that dropout blanks")),
        Setting("activation", Name("relu", "tanh", "sigmoid"), "relu", _("activation function")),
        Setting("block_dropout", _RATE, 0.0, _("the same, behind each block")),
    )
}


@dataclass(frozen=True)
class Layer:
    """One row of a network's table.

    Attributes:
        kind: conv, dense, batch_norm, flatten, dropout, max_pool, avg_pool, global_max_pool,
            global_avg_pool, whiten (a convolution whose weights are set from the training images
            and stay), residual (two convolutions and a way around them), or an activation.
        size: output channels or units, where the kind has them.
        kernel: side of the kernel or pooling window.
        padding: pixels added on each side.
        rate: of dropout.
        bias: whether a convolution or dense layer has one.
        stride: of a residual block's first convolution, and of the one in its way around.
    """

    kind: str
    size: int = 0
    kernel: int = 0
    padding: int = 0
    rate: float = 0.0
    bias: bool = True
    stride: int = 1


@dataclass(frozen=True)
class Family:
    """A kind of network: its settings with their defaults, its native input sizes, its table."""

    layers: Callable[[Settings, int], list[Layer]]
    defaults: Mapping[str, Any]
    sizes: tuple[int, ...] = (28, 32)
    source: Text | str = ""


@dataclass(frozen=True)
class NetworkSpec:
    """A network that can be built: everything that decides its shape.

    Attributes:
        name: canonical name.
        settings: every setting of its family with its value.
        size: side of the square input, in pixels.
        channels: 1 or 3.
        num_classes: how many outputs.
    """

    name: str
    settings: Mapping[str, Any]
    size: int
    channels: int
    num_classes: int

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for config.toml and model/config.json."""
        return {
            "name": self.name,
            "size": self.size,
            "channels": self.channels,
            "num_classes": self.num_classes,
            "settings": {
                k: list(v) if isinstance(v, tuple) else v for k, v in self.settings.items()
            },
        }

    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one input."""
        return self.channels, self.size, self.size


def _lenet5(settings: Settings, size: int) -> list[Layer]:
    del settings
    return _lenet(size, "tanh", (120, 84))


def _ivannet(settings: Settings, size: int) -> list[Layer]:
    del settings
    return _lenet(size, "tanh", (120, 84), norm=True, pool_rate=0.25, dense_rate=0.5)


def _gmnet(settings: Settings, size: int) -> list[Layer]:
    width, rate = settings["width"], settings["dropout"]
    return _lenet(
        size,
        settings["activation"],
        (width, width),
        norm=True,
        pool_rate=rate,
        dense_rate=rate,
    )


def _lenet(
    size: int,
    activation: str,
    dense: tuple[int, ...],
    *,
    norm: bool = False,
    pool_rate: float = 0.0,
    dense_rate: float = 0.0,
) -> list[Layer]:
    # 28-pixel digits are padded to the 32 pixels of the paper; larger inputs are not.
    layers = []
    for channels, padding in ((6, 2 if size < 32 else 0), (16, 0)):
        layers += [Layer("conv", channels, 5, padding), Layer(activation)]
        layers += [Layer("batch_norm")] if norm else []
        layers += [Layer("avg_pool", kernel=2)]
        layers += [Layer("dropout", rate=pool_rate)] if pool_rate else []
    layers += [Layer("flatten")]
    return layers + _dense(dense, activation, dense_rate)


def _cnn_32_64_64(settings: Settings, size: int) -> list[Layer]:
    del settings, size
    layers = []
    for channels in (32, 64):
        layers += [Layer("conv", channels, 3), Layer("relu"), Layer("max_pool", kernel=2)]
    layers += [Layer("conv", 64, 3), Layer("relu"), Layer("flatten")]
    return layers + _dense((64,), "relu", 0.0)


def _cnn(settings: Settings, size: int) -> list[Layer]:
    del size
    layers = []
    for block in range(settings["blocks"]):
        channels, rate = 32 * 2**block, settings["block_dropout"]
        layers += [Layer("conv", channels, 3, 1), Layer("relu")]
        layers += [Layer("conv", channels, 3), Layer("relu"), Layer("max_pool", kernel=2)]
        layers += [Layer("dropout", rate=rate)] if rate else []
    layers += [Layer("flatten")]
    return layers + _dense(settings["dense"], settings["activation"], settings["dropout"])


def _small(settings: Settings, size: int) -> list[Layer]:
    del size
    layers = [Layer("whiten", kernel=2), Layer("silu")]
    for width in (settings["width"], 4 * settings["width"], 4 * settings["width"]):
        for pool in (True, False):
            layers += [Layer("conv", width, 3, 1, bias=False)]
            layers += [Layer("max_pool", kernel=2)] if pool else []
            layers += [Layer("batch_norm"), Layer("silu")]
    return [*layers, Layer("global_max_pool"), Layer("flatten")]


def _resnet8(settings: Settings, size: int) -> list[Layer]:
    # Width is no setting: torch 2.13 writes outside its memory in the backward pass of a 1x1
    # convolution with a stride from 4 channels (docs/experiments.md).
    del settings, size
    layers = [Layer("conv", 16, 3, 1, bias=False), Layer("batch_norm"), Layer("relu")]
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        layers += [Layer("residual", width, 3, stride=stride)]
    return [*layers, Layer("global_avg_pool"), Layer("flatten")]


def _dense(sizes: tuple[int, ...], activation: str, rate: float) -> list[Layer]:
    layers = []
    for size in sizes:
        layers += [Layer("dense", size), Layer(activation)]
        layers += [Layer("dropout", rate=rate)] if rate else []
    return layers


FAMILIES: Mapping[str, Family] = {
    "lenet5": Family(_lenet5, {}, source=_("LeCun et al. 1998, section II.B")),
    "ivannet": Family(_ivannet, {}, source=_("LeNet-5 with batch normalisation and dropout")),
    "gmnet": Family(
        _gmnet,
        {"activation": "relu", "dropout": 0.2, "width": 180},
        source=_("IvanNet, its settings found by a random search"),
    ),
    "olhar-small": Family(
        _small,
        {"width": 32},
        sizes=(28, 32, 48, 64),
        source=_("after airbench94 (Jordan 2024, arXiv 2404.00498, section 3) and its successors"),
    ),
    "resnet8": Family(
        _resnet8,
        {},
        source=_("the ResNet-8 of MLPerf Tiny (Banbury et al. 2021, arXiv 2106.07597)"),
    ),
    "cnn-32-64-64": Family(_cnn_32_64_64, {}, source=_("the TensorFlow CNN tutorial's network")),
}
CNN = Family(
    _cnn,
    {name: one.default for name, one in SETTINGS.items() if name != "width"},
    source=_("VGG-style blocks (Simonyan and Zisserman 2015) in the size of a course project"),
)
LISTED = (*FAMILIES, *cnn_names.PUBLISHED)


def _family(name: str) -> Family:
    return FAMILIES.get(name, CNN)


def is_published(name: str) -> bool:
    """Whether a network is one that others have published, which has no table of layers here."""
    return name in BACKBONES or bool(split_adapter(name)[0])


def resolve_network(
    name: str, settings: Settings | None = None
) -> tuple[str, dict[str, Any], str | None]:
    """A name as typed and the settings that differ → (canonical name, all settings, what was meant).

    The third is None unless the name had to be understood: then it is the name that was typed.

    Raises:
        UnknownNameError: no such network, or no such setting.
        ConfigError: a setting out of its range.
    """
    given = dict(settings or {})
    typed = name.strip()
    if split_adapter(typed)[0]:
        return typed, _adapted(typed, given), None
    if typed.lower() in BACKBONES:
        canonical, values = typed.lower(), {}
    elif typed.lower() in FAMILIES:
        canonical, values = typed.lower(), dict(FAMILIES[typed.lower()].defaults)
    else:
        parsed = cnn_names.parse(typed)
        if parsed is None:
            raise unknown_name(_("network"), name, [*LISTED, *BACKBONES])
        values = dict(CNN.defaults) | parsed
        canonical = cnn_names.derive(values)
    for key, value in given.items():
        if key not in values:
            raise unknown_name(_("setting of network {name}", name=canonical), key, values)
        values[key] = SETTINGS[key].check(value)
    if canonical not in FAMILIES and canonical not in BACKBONES:
        canonical, understood = cnn_names.derive(values), canonical
        return canonical, values, None if typed == understood else typed
    return canonical, values, None


def _adapted(name: str, settings: Settings) -> dict[str, Any]:
    """The settings of a network of another library, which were found out when it was chosen."""
    if not {"features", "parameters", "statistics"} <= settings.keys():
        raise ConfigError(
            _(
                "network {name} belongs to another library; write --backbone {name}, with "
                "--mode scratch to train it from the beginning",
                name=name,
            )
        )
    return dict(settings)


def network_source(name: str) -> Text | str:
    """Where a network comes from."""
    if is_published(name):
        library = split_adapter(name)[0]
        return _("a network of {library}", library=library) if library else BACKBONES[name].source
    return _family(name).source


def native_size(name: str, image_size: int) -> int:
    """The native input side of network `name` for images of this side: the next larger, or the largest.

    A backbone takes photos at the largest, and all that is smaller at its small one.
    """
    from olhar.preprocess import choose_side  # it needs numpy, which --help does without

    if name in BACKBONES:
        return choose_side(BACKBONES[name].sizes, image_size)
    sizes = _family(name).sizes
    return min((s for s in sizes if s >= image_size), default=max(sizes))


def check_size(spec: NetworkSpec) -> None:
    """Raise NetworkSizeError, naming the smallest input, if the arithmetic does not allow `spec.size`."""
    if _fits(spec, spec.size):
        return
    smallest = next(size for size in range(1, 4096) if _fits(spec, size))
    raise NetworkSizeError(
        _(
            "network {name} cannot take images of {size}x{size} pixels; the smallest is "
            "{smallest}x{smallest}: use --size {smallest} or a network with fewer layers",
            name=spec.name,
            size=spec.size,
            smallest=smallest,
        )
    )


def takes_any_size(spec: NetworkSpec) -> bool:
    """Whether the network pools over all places at its end, so that images of other sides fit too."""
    if is_published(spec.name):
        return spec.name in BACKBONES and BACKBONES[spec.name].any_size
    return any(layer.kind in _GLOBAL_POOLS for layer, _inputs, _side in walk(spec))


def _fits(spec: NetworkSpec, size: int) -> bool:
    if is_published(spec.name):
        return size >= SMALLEST_SIZE
    return all(side >= 1 for _layer, _inputs, side in walk(dataclasses.replace(spec, size=size)))


def walk(spec: NetworkSpec) -> Iterator[tuple[Layer, int, int]]:
    """Each layer, the output included: (layer, channels or units that it takes, side it takes)."""
    inputs, side = spec.channels, spec.size
    table = _family(spec.name).layers(spec.settings, spec.size)
    for layer in [*table, Layer("dense", spec.num_classes)]:
        yield layer, inputs, side
        if layer.kind in {"conv", "whiten"}:
            side += 2 * layer.padding - layer.kernel + 1
        elif layer.kind == "residual":
            side = -(-side // layer.stride)
        elif layer.kind in _GLOBAL_POOLS:
            side = min(side, 1)
        elif layer.kind in {"max_pool", "avg_pool"}:
            side //= layer.kernel
        elif layer.kind == "flatten":
            inputs *= side * side
        if layer.kind == "whiten":
            inputs = whitening_filters(inputs, layer.kernel)
        elif layer.size:
            inputs = layer.size


def whitening_filters(channels: int, kernel: int) -> int:
    """How many filters a whitening layer has: each eigenvector of the patches, and its negative."""
    return 2 * channels * kernel**2


def count_parameters(spec: NetworkSpec) -> tuple[int, int]:
    """(parameters, trainable parameters); the first counts running statistics and fixed weights too.

    Raises:
        NetworkSizeError: the input is too small for the layers.
    """
    check_size(spec)
    if is_published(spec.name):
        return _count_published(spec)
    trainable = fixed = 0
    for layer, inputs, _side in walk(spec):
        if layer.kind in {"conv", "dense"}:
            trainable += inputs * layer.size * max(1, layer.kernel) ** 2 + layer.bias * layer.size
        elif layer.kind == "whiten":
            filters = whitening_filters(inputs, layer.kernel)
            trainable += filters
            fixed += filters * inputs * layer.kernel**2
        elif layer.kind == "residual":
            around = layer.stride > 1 or inputs != layer.size
            trainable += (inputs + layer.size) * layer.size * layer.kernel**2
            trainable += around * inputs * layer.size + (2 + around) * 2 * layer.size
            fixed += (2 + around) * 2 * layer.size
        elif layer.kind == "batch_norm":
            trainable += 2 * inputs
            fixed += 2 * inputs
    return trainable + fixed, trainable


def _count_published(spec: NetworkSpec) -> tuple[int, int]:
    """`count_parameters` of a network without a table of layers here."""
    known = BACKBONES.get(spec.name)
    if known:
        beside = count_beside(spec.name, spec.settings)
        features, parameters, statistics = (
            known.features + beside,
            known.parameters,
            known.statistics,
        )
    else:
        features, parameters, statistics = (
            int(spec.settings[key]) for key in ("features", "parameters", "statistics")
        )
    trainable = parameters + (features + 1) * spec.num_classes
    return trainable + statistics, trainable
