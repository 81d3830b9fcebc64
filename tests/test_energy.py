"""Energy and CO2: an offline estimate that never stops a training."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from olhar.errors import ConfigError
from olhar.training.energy import EnergyMeter, measure_energy


def work(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))


def test_energy_without_any_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: Any
) -> None:
    asked: list[Any] = []

    def refuse(*given: Any, **_named: Any) -> None:
        asked.append(given)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("CODECARBON_ELECTRICITYMAPS_API_TOKEN", "secret")  # would ask a service
    monkeypatch.setenv("CODECARBON_CO2_SIGNAL_API_TOKEN", "secret")
    monkeypatch.setenv("CODECARBON_EMISSIONS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("CODECARBON_SAVE_TO_API", "true")
    monkeypatch.chdir(tmp_path)
    notes: list[str] = []
    with measure_energy("bra", lambda text: notes.append(str(text))) as meter:
        work(1.0)
    assert asked == []
    assert notes == []
    assert meter.result is not None
    assert set(meter.result) == {"kwh", "co2_kg", "country", "method"}
    assert meter.result["country"] == "BRA"
    assert meter.result["kwh"] > 0
    grams = meter.result["co2_kg"] / meter.result["kwh"] * 1000
    assert f"{grams:g} g CO2e/kWh" in meter.result["method"]
    assert "codecarbon" in meter.result["method"]
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []  # no emissions.csv


def test_off_by_default() -> None:
    with measure_energy(None, print) as meter:
        pass
    assert meter.result is None


@pytest.mark.parametrize(
    ("given", "nearest"), [("BR", "BRA"), ("brazil", "BRA"), ("", "ISO"), ("Portugall", "PRT")]
)
def test_unknown_country(given: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=nearest):
        measure_energy(given, print)


def test_ctrl_c_passes_through_and_is_measured() -> None:
    meter = measure_energy("PRT", print)
    with pytest.raises(KeyboardInterrupt), meter:
        raise KeyboardInterrupt
    assert meter.result is not None


def test_a_failure_is_said_once() -> None:
    notes: list[str] = []
    with EnergyMeter("XXX", lambda text: notes.append(str(text))) as meter:
        pass
    assert meter.result is None
    assert len(notes) == 1


def test_without_codecarbon(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1] / 'src')!r})\n"
        "sys.modules['tomli_w'] = sys\n"
        "from olhar.training.energy import measure_energy\n"
        "try: measure_energy('BRA', print)\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError" in done.stdout, done.stderr
    assert "olhar[energy]" in done.stdout
