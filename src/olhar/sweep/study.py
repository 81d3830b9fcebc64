"""The record of a sweep: an Optuna study in SQLite or PostgreSQL, which outlives every process.

Only the driver reads and writes it. Each entry is written such that it may be tried again: when a
database goes away for a while, nothing is lost and nothing is there twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from olhar.errors import ConfigError, StorageError
from olhar.i18n import Text, _
from olhar.shown import hide_secrets, is_hidden
from olhar.sweep.settings import SweepSettings

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, TrialState

PATIENCE_S = 60.0
_OWN = "olhar"  # the study's attribute that says whose it is
_CONNECT_S = 8
T = TypeVar("T")


class Study:
    """A study that is this sweep's; trials are known by number."""

    def __init__(
        self,
        url: str,
        name: str,
        settings: SweepSettings,
        token: str,
        note: Callable[[Text], None],
    ) -> None:
        """Open the study, or make it.

        Args:
            url: of the database, as SQLAlchemy has it.
            name: of the study.
            settings: what is searched.
            token: names the sweep's folder.
            note: hears of a database that does not answer.

        Raises:
            ConfigError: the study is another sweep's; no such kind of database.
            StorageError: the database cannot be opened.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._settings, self._note, self._where = settings, note, shown_url(url)
        storage = _open_storage(url)
        pruner = optuna.pruners.MedianPruner() if settings.pruner == "median" else None
        self._study = self._again(
            lambda: optuna.create_study(
                storage=storage,
                study_name=name,
                direction=settings.direction,
                sampler=optuna.samplers.RandomSampler(settings.seed),
                pruner=pruner or optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
        )
        self._again(lambda: self._claim(name, token))

    def _claim(self, name: str, token: str) -> None:
        mine: dict[str, Any] = {"settings": self._settings.to_dict(), "folder": token}
        found = self._study.user_attrs.get(_OWN)
        if found is None and not self._study.get_trials(deepcopy=False):
            self._study.set_user_attr(_OWN, mine)
            return
        theirs = (found or {}).get("settings", {})
        longer = is_longer(theirs, mine["settings"])
        key = "" if longer else differing(theirs, mine["settings"])
        if key:
            raise ConfigError(
                _(
                    "study '{name}' in {where} exists with other settings ({key}); choose another "
                    "--study or --out",
                    name=name,
                    where=self._where,
                    key=key,
                )
            )
        if (found or {}).get("folder") != token:
            raise ConfigError(
                _(
                    "study '{name}' in {where} belongs to a sweep in another folder; give that --out, "
                    "or choose another --study",
                    name=name,
                    where=self._where,
                )
            )
        if longer:
            self._study.set_user_attr(_OWN, mine)

    def trials(self) -> list[FrozenTrial]:
        """All trials by number, as they stand in the database."""
        return self._again(lambda: self._study.get_trials(deepcopy=False))

    def add(self, number: int, params: Mapping[str, Any]) -> None:
        """Begin trial `number`, the next one."""
        from optuna.trial import TrialState, create_trial

        distributions = {name: one.to_optuna() for name, one in self._settings.space.items()}
        template = create_trial(
            state=TrialState.RUNNING, params=dict(params), distributions=distributions
        )

        def add() -> None:
            if len(self._study.get_trials(deepcopy=False)) <= number:
                self._study.add_trial(template)

        self._again(add)

    def report(self, number: int, epoch: int, value: float) -> None:
        """The metric after an epoch."""
        from optuna.trial import Trial

        def report() -> None:
            frozen = self._study.get_trials(deepcopy=False)[number]
            if epoch not in frozen.intermediate_values and not frozen.state.is_finished():
                Trial(self._study, frozen._trial_id).report(value, epoch)

        self._again(report)

    def is_below_median(self, number: int) -> bool:
        """What Optuna's median pruner says of a trial."""
        from optuna.trial import Trial

        def ask() -> bool:
            frozen = self._study.get_trials(deepcopy=False)[number]
            return Trial(self._study, frozen._trial_id).should_prune()

        return self._again(ask)

    def finish(
        self, number: int, state: TrialState, value: float | None, facts: Mapping[str, Any]
    ) -> None:
        """End a trial.

        Args:
            number: of the trial.
            state: COMPLETE, PRUNED or FAIL.
            value: the metric, of a complete trial.
            facts: what else is to be known of it, as plain values.
        """
        from optuna.trial import Trial

        def finish() -> None:
            frozen = self._study.get_trials(deepcopy=False)[number]
            if frozen.state.is_finished():
                return
            trial = Trial(self._study, frozen._trial_id)
            for key, fact in facts.items():
                trial.set_user_attr(key, fact)
            self._study.tell(number, value, state=state, skip_if_finished=True)

        self._again(finish)

    def suggest(self, number: int) -> dict[str, Any]:
        """Parameters for trial `number` by TPE, from what all trials have shown so far.

        Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011. A trial that is
        under way counts as one that was stopped where it stands.
        """
        import optuna
        from optuna.trial import TrialState, create_trial

        sampler = optuna.samplers.TPESampler(
            seed=self._settings.seed + number, multivariate=False, constant_liar=True
        )
        study = optuna.create_study(direction=self._settings.direction, sampler=sampler)
        for one in self.trials()[:number]:
            values = {k: v for k, v in one.intermediate_values.items() if math.isfinite(v)}
            under_way = one.state == TrialState.RUNNING and values
            study.add_trial(
                create_trial(
                    state=TrialState.PRUNED if under_way else one.state,
                    value=one.value,
                    params=one.params,
                    distributions=one.distributions,
                    intermediate_values=values,
                )
            )
        distributions = {name: one.to_optuna() for name, one in self._settings.space.items()}
        return dict(study.ask(distributions).params)

    def _again(self, do: Callable[[], T]) -> T:
        """Do it; where the database does not answer, again and again for a minute."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import DBAPIError

        begun, pause_s, told = time.monotonic(), 0.5, False
        while True:
            try:
                return do()
            except (DBAPIError, StorageInternalError) as error:
                reason = _cause(error)
                if _is_full(reason):
                    raise StorageError(
                        _(
                            "the disk that holds the study ({where}) is full; free some space, then "
                            "the same command goes on",
                            where=self._where,
                        )
                    ) from None
                if time.monotonic() - begun > PATIENCE_S:
                    raise StorageError(
                        _(
                            "the database {where} has not answered for a minute ({reason}); nothing "
                            "is lost: when it is back, the same command goes on",
                            where=self._where,
                            reason=reason,
                        )
                    ) from None
                if not told:
                    self._note(
                        _(
                            "the database {where} does not answer ({reason}); trying again for a minute",
                            where=self._where,
                            reason=reason,
                        )
                    )
                told = True
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, 8)


def _open_storage(url: str) -> RDBStorage:
    """Optuna's storage for a database.

    Raises:
        ConfigError: no such kind of database, or its driver is not installed.
        StorageError: it cannot be reached.
    """
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgresql"):
        arguments["connect_args"] = {"connect_timeout": _CONNECT_S}
    try:
        return RDBStorage(url, engine_kwargs=arguments)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise ConfigError(
            _(
                "--storage {where} cannot be used ({reason}); allowed: sqlite:///FILE, "
                "postgresql://USER:PASSWORD@HOST/DATABASE (needs pip install psycopg2-binary)",
                where=shown_url(url),
                reason=_one_line(error),
            )
        ) from None
    except (DBAPIError, StorageInternalError) as error:
        raise StorageError(
            _(
                "the database {where} cannot be opened: {reason}; check that it runs, and user, "
                "password and name",
                where=shown_url(url),
                reason=_cause(error),
            )
        ) from None


def storage_url(given: str | None, out: Path) -> str:
    """The database's URL as SQLAlchemy wants it; by default a SQLite file in the sweep's folder."""
    if given is None:
        return f"sqlite:///{(out / 'study.db').as_posix()}"
    scheme, colon, rest = given.partition("://")
    if colon and is_hidden(given):
        raise ConfigError(
            _(
                "--storage {where}: it cannot be told where the login ends in this address; in a user "
                "name or password write / ? # @ : and % as %2F %3F %23 %40 %3A and %25",
                where=shown_url(given),
            )
        )
    if not colon:
        raise ConfigError(
            _(
                "--storage '{given}' is no URL; allowed: sqlite:///FILE, "
                "postgresql://USER:PASSWORD@HOST/DATABASE",
                given=given if hide_secrets(given) == given and "@" not in given else "***",
            )
        )
    # A bare postgresql:// means psycopg2 or psycopg 3, by the version of SQLAlchemy.
    scheme = "postgresql+psycopg2" if scheme in {"postgres", "postgresql"} else scheme
    return f"{scheme}://{rest}"


def shown_url(url: str) -> str:
    """A database's URL without user, password and options."""
    scheme, _colon, rest = hide_secrets(url).partition("://")
    return f"{scheme.partition('+')[0]}://{rest.partition('?')[0]}"


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """The first setting in which two sweeps differ, as text; empty where they are equal."""
    for key in [*second, *(key for key in first if key not in second)]:
        ours, theirs = first.get(key), second.get(key)
        if ours == theirs:
            continue
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            return f"{key}.{differing(ours, theirs)}"
        return f"{key}: {ours} ≠ {theirs}"
    return "" if list(first) == list(second) else ", ".join(first)


def is_longer(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether the second sweep is the first one with more trials, and differs in nothing else."""
    fewer, more = first.get("trials"), second.get("trials")
    known = isinstance(fewer, int) and isinstance(more, int) and fewer < more
    return known and not differing({**first, "trials": more}, second)


def _cause(error: BaseException) -> str:
    """What the database itself said, without the statement and its values."""
    if error.__cause__ is not None and not hasattr(error, "orig"):
        error = error.__cause__
    return _one_line(getattr(error, "orig", None) or error)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _is_full(reason: str) -> bool:
    return "disk is full" in reason or "No space left" in reason
