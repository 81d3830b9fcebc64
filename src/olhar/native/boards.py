"""Boards, and what fits on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from olhar.errors import ConfigError, NetworkSizeError, unknown_name
from olhar.i18n import _, number
from olhar.native.sizes import Sizes
from olhar.networks.specs import (
    LISTED,
    NetworkSpec,
    count_parameters,
    native_size,
    resolve_network,
    walk,
)

_CODE_BYTES, _KEPT_BYTES = 6144, 1024  # what operators, tables and the stack were measured to need


@dataclass(frozen=True)
class Limits:
    """Bytes that a program may have."""

    name: str
    flash: int | None
    ram: int | None


# What the makers' tools give a program, at the settings that they come with.
BOARDS: Mapping[str, Limits] = {
    "nano33ble": Limits("Arduino Nano 33 BLE", 983_040, 262_144),
    "pico": Limits("Raspberry Pi Pico", 2_097_152, 262_144),
    "pico2": Limits("Raspberry Pi Pico 2", 4_194_304, 524_288),
    "esp32": Limits("ESP32", 1_310_720, 327_680),
    "esp32s3": Limits("ESP32-S3", 1_310_720, 327_680),
    "stm32f4": Limits("STM32F411", 524_288, 131_072),
}


def find_limits(board: str | None, max_flash: int | None, max_ram: int | None) -> Limits | None:
    """The limits that were asked for; None where there are none.

    Raises:
        UnknownNameError: no such board.
    """
    if board is not None and board not in BOARDS:
        raise unknown_name(_("board"), board, BOARDS)
    if board is None and max_flash is None and max_ram is None:
        return None
    known = BOARDS[board] if board else Limits("", None, None)
    return replace(
        known,
        flash=known.flash if max_flash is None else max_flash,
        ram=known.ram if max_ram is None else max_ram,
    )


def fits(flash: int, ram: int, limits: Limits) -> bool:
    """Whether a model of this size leaves the limits alone."""
    return (limits.flash is None or flash <= limits.flash) and (
        limits.ram is None or ram <= limits.ram
    )


def check_fits(
    sizes: Sizes, limits: Limits | None, network: Mapping[str, object], precision: str
) -> None:
    """Refuse a model that is too large, and say which of olhar's networks would do.

    Args:
        sizes: of the model.
        limits: what there is.
        network: of the model, as config.json has it.
        precision: of the model.

    Raises:
        ConfigError: it is too large.
    """
    if limits is None or fits(sizes.flash, sizes.ram, limits):
        return
    parts = [
        _("{need} bytes of {kind} are needed and {have} are there", need=number(need), kind=kind,
          have=number(have))
        for kind, need, have in (("flash", sizes.flash, limits.flash), ("RAM", sizes.ram, limits.ram))
        if have is not None and need > have
    ]  # fmt: skip
    smaller = [] if precision == "int8" else [_("--precision int8 needs about a quarter")]
    others = which_fit(limits, network)
    if others:
        smaller.append(
            _("of olhar's networks these would fit in int8: {names}", names=", ".join(others))
        )
    else:
        smaller.append(_("none of olhar's networks would fit; train with a smaller --size"))
    raise ConfigError(
        _(
            "the model does not fit{board}: {reasons}. Nothing was written; {advice}",
            board=f" ({limits.name})" if limits.name else "",
            reasons="; ".join(map(str, parts)),
            advice="; ".join(map(str, smaller)),
        )
    )


def which_fit(limits: Limits, network: Mapping[str, object]) -> Sequence[str]:
    """olhar's networks that would fit in int8, for images and classes as this one's."""
    channels, classes, size = (
        int(str(network[key])) for key in ("channels", "num_classes", "size")
    )
    found = []
    for name in LISTED:
        canonical, settings, _typed = resolve_network(name)
        # A photo is made small for these.
        spec = NetworkSpec(
            canonical, settings, native_size(canonical, min(size, 64)), channels, classes
        )
        try:
            flash, ram = estimate(spec)
        except NetworkSizeError:
            continue
        if name != network["name"] and fits(flash, ram, limits):
            found.append(name)
    return found


def estimate(spec: NetworkSpec) -> tuple[int, int]:
    """About how many bytes of flash and RAM one of olhar's own networks needs in int8."""
    parameters, _trainable = count_parameters(spec)
    most, taken = 0, 0
    for layer, inputs, side in walk(spec):
        if layer.kind == "residual":  # what comes in is kept until it is added
            place = -(-side // layer.stride)
            most = max(most, inputs * side**2 + 2 * layer.size * place**2)
        elif layer.kind in {"conv", "whiten", "dense"}:
            place = side + 2 * layer.padding - layer.kernel + 1 if layer.kernel else 1
            outputs = layer.size or 2 * inputs * layer.kernel**2
            taken = inputs * (side**2 if layer.kernel else 1)
            most = max(most, taken + outputs * place**2)
    return parameters + _CODE_BYTES, most + _KEPT_BYTES
