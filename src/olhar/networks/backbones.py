"""Networks that others have trained on ImageNet, as tables: names, sizes, weights. Torch-free.

Does not know: how their layers compute (backbone_modules does), or what is fitted on them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from olhar.errors import MissingExtraError
from olhar.i18n import Text, _

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALLEST_SIZE = 32  # all of them halve the side five times
# What their makers trained on, and what small images are enlarged to (docs/transfer.md).
NATIVE_SIZES = (128, 224)
_ADDRESS = "https://download.pytorch.org/models"


@dataclass(frozen=True)
class Backbone:
    """A published network without its last layer.

    Attributes:
        features: numbers that it gives for an image.
        parameters: trainable ones, without the last layer.
        statistics: running means and variances of its batch norms.
        head: name of the last layer among its modules.
        file: of the published weights; the name ends in the first digits of their sha256.
        any_size: whether it pools over all places at its end.
        front: its first modules, a chain, that --mode top leaves as they are; () where the rest
            would not be the smaller part.
        source: where the network comes from.
    """

    features: int
    parameters: int
    statistics: int
    head: str
    file: str
    any_size: bool
    front: tuple[str, ...]
    source: Text | str

    @property
    def url(self) -> str:
        """Where its makers keep the weights."""
        return f"{_ADDRESS}/{self.file}"

    @property
    def sha256_prefix(self) -> str:
        """The first digits of the sha256 of the published weights."""
        return self.file.rpartition("-")[2].partition(".")[0]


def _features(count: int) -> tuple[str, ...]:
    return tuple(f"features.{index}" for index in range(count))


BACKBONES: Mapping[str, Backbone] = {
    "mobilenet_v2": Backbone(
        features=1280,
        parameters=2_223_872,
        statistics=34_112,
        head="classifier.1",
        file="mobilenet_v2-b0353104.pth",
        any_size=True,
        front=_features(14),
        source=_("Sandler et al. 2018, table 2; a backbone"),
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
