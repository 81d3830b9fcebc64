"""What a training starts from where it does not start from nothing: a backbone and its weights.

Torch-free but for networks of other libraries, which only those libraries can describe.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.classifier import WEIGHTS, load_classifier
from olhar.datasets import NAMED
from olhar.datasets.cache import cache_folder
from olhar.datasets.fetch import fetch_sha256
from olhar.errors import ConfigError, MissingFileError, explain_os_errors, unknown_name
from olhar.files import sha256_file
from olhar.i18n import _
from olhar.networks.backbones import (
    BACKBONES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    NATIVE_SIZES,
    Backbone,
    split_adapter,
)
from olhar.preprocess import Preprocess
from olhar.progress import Progress
from olhar.registry import resolve_model
from olhar.stores.address import hide_secrets, is_url

MODES = ("head", "top", "finetune", "scratch")
PRETRAINED = "pretrained"
_SUFFIXES = (".pth", ".safetensors")

# Of a recipe, by mode; scratch takes the recipe kept for photos. Chosen in docs/transfer.md.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "head": {"epochs": 1, "views": "mirror"},
    "top": {
        "epochs": 3,
        "batch_size": 64,
        "lr": 2e-3,
        "warmup": 0.45,  # the head's epoch is a third of the schedule
        "weight_decay": 0.01,
        "flip": True,
        "translate": 0.08,
        "views": "mirror",
    },
    "finetune": {
        "epochs": 6,
        "batch_size": 16,
        "lr": 1e-4,
        "weight_decay": 0.01,
        "flip": True,
        "translate": 0.06,
        "views": "mirror",
    },
}
_NOT_OF_TOP = frozenset({"early_share", "minutes"})
# What has a meaning where one layer is solved for and nothing else is trained.
_HEAD_SETTINGS = frozenset({"views", "sure_precision", "balance", "seed", "device", "workers"})


@dataclass(frozen=True)
class Transfer:
    """Where a network's weights come from, and what is done with them.

    Attributes:
        backbone: as it was given: a published network, a run or its address, timm:NAME,
            transformers:NAME.
        mode: head (only the last layer is fitted), top (then the last blocks), finetune (then all
            of them), scratch (none of the weights are used).
        weights: the file that holds them; "pretrained" where a library keeps them; else "".
        sha256: of that file.
    """

    backbone: str
    mode: str
    weights: str = ""
    sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for config.toml."""
        return dataclasses.asdict(self)

    def words(self) -> list[str]:
        """The flags that ask for it."""
        is_run = self.backbone not in BACKBONES and not split_adapter(self.backbone)[0]
        weights = ["--weights", self.weights] if self.weights and not is_run else []
        return ["--backbone", self.backbone, *weights, "--mode", self.mode]


@dataclass(frozen=True)
class Origin:
    """A backbone, found: its network, and what it expects of an image."""

    network: str
    settings: Mapping[str, Any]
    preprocess: Preprocess
    transfer: Transfer
    sizes: tuple[int, ...]  # native ones, in rising order

    def preprocess_for(self, size: int | None, resize: str, image_size: int) -> Preprocess:
        """Its preprocess for images of this side, with what was asked for."""
        native = min((s for s in self.sizes if s >= image_size), default=self.sizes[-1])
        changes: dict[str, Any] = {"size": native if size is None else size}
        if resize != "crop":
            changes["resize"] = resize
        return dataclasses.replace(self.preprocess, **changes)


def open_backbone(
    backbone: str, weights: str | None, mode: str | None, progress: Progress
) -> Origin:
    """Find a backbone and its weights.

    Args:
        backbone: a name of `BACKBONES`, a run folder or its address in a store, timm:NAME, or
            transformers:NAME or :FOLDER.
        weights: a file; "pretrained" for the published ones, which are downloaded if need be; None
            for those that lie here already.
        mode: one of `MODES`; None for head.
        progress: hears of what was chosen, and of a download.

    Raises:
        ConfigError: an unknown backbone or mode, or weights that it cannot have.
        MissingFileError: there are no such weights.
        MissingExtraError: the library that it belongs to is not installed.
        DownloadError, ChecksumError: the published weights could not be had.
    """
    mode = mode or "head"
    if mode not in MODES:
        raise unknown_name("--mode", mode, MODES)
    if mode == "scratch" and weights is not None:
        raise ConfigError(
            _("--mode scratch begins without weights; leave --weights out, or take another mode")
        )
    name = backbone.strip()
    if name.lower() in BACKBONES:
        return _published(name.lower(), weights, mode, progress)
    if mode == "top":
        raise _no_top(name)
    library, inner = split_adapter(name)
    if library:
        return _adapted(library, inner, weights, mode)
    return _own_run(name, weights, mode, progress)


def _no_top(name: str) -> ConfigError:
    return ConfigError(
        _(
            "--mode top trains the last blocks of {allowed} only; for {name} use --mode finetune "
            "or --mode head",
            allowed=", ".join(known for known, backbone in BACKBONES.items() if backbone.front),
            name=name,
        )
    )


def default_mode(backbone: str, data: str) -> str:
    """What is done with a backbone where nobody says: top for the large named sets, else head."""
    known = BACKBONES.get(backbone.strip().lower())
    return "top" if known and known.front and data in NAMED and data != "digits" else "head"


def check_mode_settings(mode: str, asked: Mapping[str, Any]) -> None:
    """Raise ConfigError for a setting that means nothing in this mode."""
    for key in _NOT_OF_TOP & asked.keys() if mode == "top" else ():
        raise ConfigError(
            _(
                "{key} has no meaning with --mode top, whose first blocks see each image once; "
                "leave it out, or use --mode finetune",
                key=key,
            )
        )
    if mode != "head":
        return
    for key in asked:
        if key not in _HEAD_SETTINGS:
            raise ConfigError(
                _(
                    "{key} has no meaning with --mode head, which solves for the last layer and "
                    "trains nothing else; leave it out, or use --mode finetune. Settings of "
                    "--mode head: {allowed}",
                    key=key,
                    allowed=", ".join(sorted(_HEAD_SETTINGS)),
                )
            )


def _published(name: str, weights: str | None, mode: str, progress: Progress) -> Origin:
    if mode == "top" and not BACKBONES[name].front:
        raise _no_top(name)
    transfer = Transfer(name, mode)
    if mode != "scratch":
        path = _weights_file(name, weights, progress)
        transfer = Transfer(name, mode, path.as_posix(), sha256_file(path))
    preprocess = Preprocess(NATIVE_SIZES[-1], 3, IMAGENET_MEAN, IMAGENET_STD)
    return Origin(name, {}, preprocess, transfer, NATIVE_SIZES)


def _weights_file(name: str, weights: str | None, progress: Progress) -> Path:
    """The file that holds a published network's weights."""
    if weights not in {None, PRETRAINED}:
        return _given_file(str(weights))
    known = BACKBONES[name]
    found = _find_weights(name, known)
    if found is not None:
        progress.note(_("weights: {path}", path=found))
        return found
    if weights is None or os.environ.get("HF_HUB_OFFLINE", "") in {"1", "true", "TRUE"}:
        raise MissingFileError(
            _(
                "there are no weights for {name} here; add --weights pretrained to download them, or "
                "get {url} and give it as --weights FILE (or put it into {folder})",
                name=name,
                url=known.url,
                folder=_folders()[0],
            )
        )
    return fetch_sha256(known.url, _folders()[-1] / known.file, known.sha256_prefix)


def _given_file(weights: str) -> Path:
    path = Path(weights).expanduser()
    with explain_os_errors(path):
        is_file = path.is_file()
    if not is_file:
        raise MissingFileError(
            _(
                "there is no file of weights '{path}'; give a .pth or .safetensors file, or write "
                "--weights pretrained",
                path=weights,
            )
        )
    return path


def _folders() -> list[Path]:
    data = os.environ.get("OLHAR_DATA")
    folders = [Path(data).expanduser() / "weights"] if data else []
    return [*folders, cache_folder() / "weights"]


def _find_weights(name: str, known: Backbone) -> Path | None:
    stems = (Path(known.file).stem, f"{name}_imagenet", name)
    for folder in _folders():
        for path in [folder / f"{stem}{suffix}" for stem in stems for suffix in _SUFFIXES]:
            if path.is_file():
                return path
    return None


def _own_run(name: str, weights: str | None, mode: str, progress: Progress) -> Origin:
    if weights is not None:
        raise ConfigError(
            _("a run brings its own weights; leave --weights out, or name a published backbone")
        )
    if not is_url(name) and not Path(name).exists():
        known = [*BACKBONES, "timm:NAME", "transformers:NAME"]
        error = unknown_name(_("backbone"), name, known)
        raise ConfigError(
            _("{reason}; or give a run folder or the address of a model", reason=error.message)
        )
    path = resolve_model(name, progress)
    classifier = load_classifier(path)
    config = classifier.config
    if config.precision != "fp32":
        raise ConfigError(
            _(
                "'{path}' is an {precision} model, which cannot be trained on; give the run that it "
                "was made from",
                path=name,
                precision=config.precision,
            )
        )
    network, preprocess = config.network, config.preprocess
    file = classifier.folder / WEIGHTS
    shown = hide_secrets(name)
    used = ("", "") if mode == "scratch" else (file.as_posix(), sha256_file(file))
    transfer = Transfer(shown, mode, *used)
    sizes = (preprocess.size,)
    return Origin(str(network["name"]), network["settings"], preprocess, transfer, sizes)


def _adapted(library: str, name: str, weights: str | None, mode: str) -> Origin:
    """A network of timm or transformers, described by that library."""
    is_folder = library == "transformers" and Path(name).is_dir()
    if mode != "scratch" and weights is None and not is_folder:
        raise ConfigError(
            _(
                "say which weights of {library}:{name}: --weights pretrained, which may download "
                "them, or --weights FILE",
                library=library,
                name=name,
            )
        )
    if is_folder and weights is not None:
        raise ConfigError(
            _("'{name}' is a folder with its own weights; leave --weights out", name=name)
        )
    if library == "timm":
        from olhar.networks.timm_adapter import describe_timm

        found = describe_timm(name)
    else:
        from olhar.networks.transformers_adapter import describe_transformers

        found = describe_transformers(name)
    path = "" if is_folder or weights is None else weights
    sha256 = ""
    if path and path != PRETRAINED:
        file = _given_file(path)
        path, sha256 = file.as_posix(), sha256_file(file)
    transfer = Transfer(f"{library}:{name}", mode, path, sha256)
    preprocess = Preprocess(found.size, 3, found.mean, found.std)
    return Origin(f"{library}:{name}", found.settings, preprocess, transfer, (found.size,))
