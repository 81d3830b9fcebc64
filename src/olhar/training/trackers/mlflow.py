"""MLflow: a run on the server or database that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.run import NEW
from olhar.training.trackers.quiet import environment_defaults, hide_secrets
from olhar.training.trackers.results import Results, Setting, figures

# One retry, since a server closes connections that are idle. The user's own settings go first.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "2",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_UPLOAD_DEFAULTS = {**_DEFAULTS, "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_PARAMS_AT_ONCE, _LONGEST_KEY, _LONGEST_VALUE = 100, 250, 6000  # limits of MLflow's REST API


def require_tracking_uri() -> None:
    """Raise ConfigError unless it is known where runs are logged."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise ConfigError(
            _(
                "the tracker mlflow needs MLFLOW_TRACKING_URI, which is not set; set it to the "
                "address of a server, such as http://localhost:5000, or to a database, such as "
                "sqlite:///mlflow.db"
            )
        )


class MlflowTracker:
    """A run of the experiment MLFLOW_EXPERIMENT_NAME, by default `olhar`."""

    title = "MLflow"

    def __init__(self) -> None:
        self._client: Any = None
        self._run_id = ""

    def start(self, settings: Mapping[str, Setting], run: Path, memory: dict[str, Any]) -> Text:
        """Create a run with its parameters, or go on with one."""
        with environment_defaults(_DEFAULTS):
            mlflow: Any = import_module("mlflow")
            self._client = mlflow.MlflowClient()
            if "run_id" in memory:
                self._run_id = memory["run_id"]
                self._client.update_run(self._run_id, status="RUNNING")
            else:
                created = self._client.create_run(
                    self._experiment_id(), run_name=run.name.removesuffix(NEW)
                )
                self._run_id = created.info.run_id
                self._log_params(settings)
                memory["run_id"] = self._run_id  # not before its parameters are there
        return _(
            "MLflow: run {run_id} on {address}",
            run_id=self._run_id,
            address=_shown_address(),
        )

    def epoch(self, row: Mapping[str, float]) -> None:
        """Log the figures of an epoch; the step is the epoch."""
        with environment_defaults(_DEFAULTS):
            self._log_metrics(figures(row), int(row["epoch"]))

    def finish(self, results: Results) -> None:
        """Log the results, then the files, the confusion matrix and the model as artifacts."""
        with environment_defaults(_DEFAULTS):
            self._log_metrics(results.metrics, results.epochs)  # fails soon if the server is gone
        with environment_defaults(_UPLOAD_DEFAULTS):
            for path in results.files.values():
                self._client.log_artifact(self._run_id, str(path))
            self._client.log_dict(self._run_id, results.confusion_table(), "confusion_matrix.json")
            self._client.log_artifacts(self._run_id, str(results.model_folder), "model")
            self._client.set_terminated(self._run_id)

    def stop(self) -> None:
        """Mark the run as one that was cut off."""
        if self._run_id:
            with environment_defaults(_DEFAULTS):
                self._client.set_terminated(self._run_id, status="KILLED")

    def advice(self) -> Text:
        """The address to check."""
        return _(
            "Check MLFLOW_TRACKING_URI ({address}), and that its server runs",
            address=_shown_address(),
        )

    def _experiment_id(self) -> str:
        if "MLFLOW_EXPERIMENT_ID" in os.environ:
            return os.environ["MLFLOW_EXPERIMENT_ID"]
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "olhar")
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except Exception:  # another run may have created it a moment ago
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def _log_params(self, settings: Mapping[str, Setting]) -> None:
        entities = import_module("mlflow.entities")
        pairs = {_param_key(key): str(value)[:_LONGEST_VALUE] for key, value in settings.items()}
        params = [entities.Param(key, value) for key, value in pairs.items()]
        for first in range(0, len(params), _PARAMS_AT_ONCE):
            self._client.log_batch(self._run_id, params=params[first : first + _PARAMS_AT_ONCE])

    def _log_metrics(self, values: Mapping[str, float], step: int) -> None:
        entities = import_module("mlflow.entities")
        now_ms = time.time_ns() // 10**6
        metrics = [entities.Metric(key, float(one), now_ms, step) for key, one in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics)


def _shown_address() -> str:
    return hide_secrets(os.environ.get("MLFLOW_TRACKING_URI", ""))


def _param_key(name: str) -> str:
    """A name as MLflow allows it: letters, digits and `_-. :`, and none that looks like a path."""
    return re.sub(r"[^\w\-. :]|^\.", "_", name)[:_LONGEST_KEY]
