"""Weights that others have trained: read without running code, and fitted to a network strictly."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from olhar.errors import ModelError, explain_os_errors
from olhar.i18n import _

SUFFIXES = (".pth", ".pt", ".safetensors")
_NAMED = 4  # keys in a message
Weights = Mapping[str, torch.Tensor]


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a .safetensors file, or in a .pth file of torch, by name.

    Raises:
        MissingFileError: no such file.
        ModelError: it is damaged, or holds anything but named tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with explain_os_errors(path), path.open("rb"):
        pass
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses at what a foreign file may be
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from error
    except (RuntimeError, EOFError, ValueError, LookupError, OSError, AttributeError) as error:
        raise _unreadable(
            path, str(error).splitlines()[0] if str(error) else repr(error)
        ) from error
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    ):
        raise _unreadable(path, _("it holds other things than named tensors"))
    return dict(found)


def _unreadable(path: Path, reason: object) -> ModelError:
    return ModelError(
        _(
            "'{path}' cannot be read as weights: {reason}; allowed: a .safetensors file, or a .pth "
            "file with a state dict of tensors (no code in it is run)",
            path=path,
            reason=reason,
        )
    )


def find_head(network: nn.Module) -> str:
    """The name of a network's last dense layer."""
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return str(names[-1])


def load_body(network: nn.Module, weights: Weights, source: object) -> None:
    """Give a network all its weights but those of its head, which has other classes.

    Args:
        network: of any number of classes.
        weights: by the names of the network's own.
        source: what messages call them.

    Raises:
        ModelError: weights are missing, left over, or of another shape.
    """
    head = find_head(network) + "."
    wanted = {
        name: value for name, value in network.state_dict().items() if not name.startswith(head)
    }
    given = {name: value for name, value in weights.items() if not name.startswith(head)}
    # Older files lack these counters, which nothing reads.
    missing = [n for n in wanted if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in wanted]
    other = [
        f"{name} {tuple(given[name].shape)} ≠ {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    reasons = [
        _("{count} are missing ({names})", count=len(missing), names=_some(missing)),
        _("{count} are not of this network ({names})", count=len(unknown), names=_some(unknown)),
        _("{count} have another shape ({names})", count=len(other), names=_some(other)),
    ]
    found = [str(r) for r, names in zip(reasons, (missing, unknown, other), strict=True) if names]
    if found:
        raise ModelError(
            _(
                "the weights of '{source}' do not fit the network: {reasons}; give the file that "
                "belongs to this backbone",
                source=source,
                reasons="; ".join(found),
            )
        )
    network.load_state_dict(given, strict=False)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def hash_body(network: nn.Module) -> str:
    """The sha256 of all of a network's weights but those of its head."""
    head = find_head(network) + "."
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        if not name.startswith(head):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}\0".encode())
            digest.update(value.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def count_body(network: nn.Module) -> dict[str, int]:
    """features, parameters and statistics of a network, as `backbones.Backbone` means them."""
    head = network.get_submodule(find_head(network))
    assert isinstance(head, nn.Linear)
    trainable = {id(p): p.numel() for p in network.parameters() if p.requires_grad}
    stored = sum(value.numel() for value in network.state_dict().values() if value.dim() > 0)
    of_head = sum(p.numel() for p in head.parameters())
    total = sum(trainable.values())
    return {
        "features": head.in_features,
        "parameters": total - of_head,
        "statistics": stored - total,
    }
