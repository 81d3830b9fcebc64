"""What this machine's processor allows, by a fixed table; never by a timing at the start.

The table, and where it was measured, is in docs/experiments.md.
"""

from __future__ import annotations

import ctypes
import platform
from dataclasses import asdict, dataclass
from typing import Any

import torch

from olhar.cores import count_threads, describe_waiting
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.networks.specs import NetworkSpec, is_published, walk

# Networks whose widest convolution has fewer channels gain nothing from bf16.
_NARROW = 32
# mallopt(3): above which size memory is given back, and is asked for by itself.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _LARGEST = -1, -3, 2**31 - 1


@dataclass(frozen=True)
class Machine:
    """How a network is computed: recorded with the run, and kept when it is resumed.

    Attributes:
        device: cpu, cuda, cuda:1…
        precision: fp32 or bf16 (autocast).
        channels_last: memory format of images and weights.
        threads: of torch, on the CPU.
    """

    device: str
    precision: str
    channels_last: bool
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for config.toml."""
        return asdict(self)

    def autocast(self) -> torch.autocast:
        """Within it, layers compute in this precision."""
        kind = torch.device(self.device).type
        enabled = self.precision == "bf16"
        return torch.autocast(kind, torch.bfloat16, enabled=enabled, cache_enabled=False)


def choose_machine(spec: NetworkSpec, device: str = "auto", precision: str = "auto") -> Machine:
    """The device, precision, memory format and threads for a network.

    Raises:
        ConfigError: a device that this machine does not have.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    layers = [] if is_published(spec.name) else list(walk(spec))
    widest = max(
        (layer.size for layer, _inputs, _side in layers if layer.kind in {"conv", "residual"}),
        default=_NARROW if is_published(spec.name) else 0,
    )
    if precision == "auto":
        fast_bf16 = torch.cuda.is_bf16_supported() if device != "cpu" else _cpu_has_bf16()
        precision = "bf16" if fast_bf16 and widest >= _NARROW else "fp32"
    return Machine(device, precision, widest >= _NARROW, count_threads())


def check_device(device: str) -> None:
    """Raise ConfigError unless this machine has the device."""
    try:
        kind = torch.device(device)
        if kind.type not in {"cpu", "cuda"}:
            raise RuntimeError
        if kind.type == "cuda":
            torch.zeros(1, device=kind)
    except (RuntimeError, AssertionError):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        allowed = ["auto", "cpu", *[f"cuda:{index}" for index in range(count)]]
        raise ConfigError(
            _(
                "device '{given}' is not on this machine; allowed: {allowed}",
                given=device,
                allowed=", ".join(allowed),
            )
        ) from None


def _cpu_features() -> dict[str, Any]:
    """What the processor can do; empty where torch is too old to say."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return dict(ask()) if ask else {}


def _cpu_has_bf16() -> bool:
    features = _cpu_features()
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def keep_freed_memory() -> None:
    """Have this process keep the memory that a step frees for the next one.

    glibc gives the pages of large tensors back to Linux, which makes them anew, page by page, in the
    next step: up to a tenth of it (docs/experiments.md). Elsewhere nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
        libc.mallopt(option, _LARGEST)


def describe_machine(machine: Machine) -> dict[str, Any]:
    """What config.toml says of where a run was made."""
    processor = str(_cpu_features().get("cpu_name") or platform.processor() or platform.machine())
    if machine.device != "cpu":
        processor = torch.cuda.get_device_name(machine.device)
    return {
        **machine.to_dict(),
        "processor": processor,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "waiting": describe_waiting(),
    }
