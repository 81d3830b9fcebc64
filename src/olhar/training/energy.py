"""Energy and CO2 of a training, estimated by codecarbon without any network.

The estimate is codecarbon's: power of processor, memory and graphics cards of the whole machine,
measured where the system shows it and estimated from load elsewhere (Lacoste et al. 2019, sec. 2;
docs.codecarbon.io, methodology), times the carbon intensity of a country's electricity.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Any

from olhar.errors import ConfigError, MissingExtraError
from olhar.i18n import Text, _
from olhar.training.trackers.quiet import describe_failure, quietly


class EnergyMeter:
    """Measures the energy of a block; a failure is said once, and the block goes on.

    Attributes:
        result: after the block `kwh`, `co2_kg`, `country` and `method`; None where there was
            nothing to measure, or measuring failed.
    """

    def __init__(self, country: str | None, note: Callable[[Text], None]) -> None:
        self.result: dict[str, Any] | None = None
        self._country = country
        self._note = note
        self._tracker: Any = None

    def __enter__(self) -> EnergyMeter:
        if self._country is not None:
            try:
                with quietly():
                    self._tracker = _build_tracker(self._country)
                    self._tracker.start()
            except Exception as error:  # noqa: BLE001 - no failure to measure stops a training
                self._fail(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop measuring, also where the block was cut off."""
        if self._tracker is None or self._country is None:
            return
        try:
            with quietly():
                self._tracker.stop()
            found = self._tracker.final_emissions_data
            intensity = _intensities()[self._country]["carbon_intensity"]
            self.result = {
                "kwh": float(found.energy_consumed),
                "co2_kg": float(found.emissions),
                "country": self._country,
                "method": f"codecarbon {found.codecarbon_version}, whole machine, "
                f"{intensity:g} g CO2e/kWh",
            }
        except Exception as failure:  # noqa: BLE001 - see above
            self._fail(failure)

    def _fail(self, error: Exception) -> None:
        self._tracker = None
        self._note(
            _(
                "energy cannot be measured on this machine; training goes on ({reason})",
                reason=describe_failure(error),
            )
        )


def measure_energy(country: str | None, note: Callable[[Text], None]) -> EnergyMeter:
    """A meter for the energy of a block, checked but not yet started.

    Args:
        country: where the machine stands, as the three letters of ISO 3166-1, such as BRA; None
            measures nothing.
        note: hears of a failure.

    Raises:
        MissingExtraError: codecarbon is not installed.
        ConfigError: no such country, or none whose electricity is known.
    """
    if country is None:
        return EnergyMeter(None, note)
    found = importlib.util.find_spec("codecarbon")
    if found is None or found.origin is None:
        raise MissingExtraError(
            _("measuring energy needs codecarbon; run: pip install 'olhar[energy]'")
        )
    with quietly():
        countries = {code: str(one["country_name"]) for code, one in _intensities().items()}
    code = country.strip().upper()
    if code not in countries:
        raise ConfigError(
            _(
                "country '{given}' is not known; allowed: a code of three letters from ISO 3166-1; "
                "nearest: {nearest}",
                given=country,
                nearest=", ".join(_nearest_countries(country, countries)),
            )
        )
    return EnergyMeter(code, note)


def _nearest_countries(given: str, countries: dict[str, str]) -> list[str]:
    """Up to three countries most like a code or a name, as `BRA (Brazil)`."""
    wanted = given.strip().lower()

    def likeness(code: str) -> tuple[bool, float]:
        forms = (code.lower(), countries[code].lower())
        ratio = max(difflib.SequenceMatcher(None, wanted, form).ratio() for form in forms)
        return bool(wanted) and forms[0].startswith(wanted[:2]) and len(wanted) < 4, ratio

    best = sorted(countries, key=likeness, reverse=True)[:3]
    return [f"{code} ({countries[code]})" for code in best]


def _intensities() -> dict[str, Any]:
    """Electricity by country code: `country_name`, `carbon_intensity` in g CO2e/kWh."""
    source: Any = import_module("codecarbon.input")
    return dict(source.DataSource().get_global_energy_mix_data())


def _build_tracker(country: str) -> Any:
    """codecarbon's offline tracker, deaf to its own settings files that could send something."""
    codecarbon: Any = import_module("codecarbon")
    return codecarbon.OfflineEmissionsTracker(
        country_iso_code=country,
        region=None,
        cloud_provider=None,
        cloud_region=None,
        # With an intensity given, codecarbon asks no service for today's.
        force_carbon_intensity_g_co2e_kwh=_intensities()[country]["carbon_intensity"],
        output_methods=[],
        output_handlers=[],
        emissions_endpoint=None,
        output_dir=".",
        allow_multiple_runs=True,  # otherwise it takes over Ctrl-C
        tracking_mode="machine",
        log_level="critical",
    )
