"""`serve`: the model under /opt/ml/model over HTTP, as `olhar serve` does it, torch-free."""

from __future__ import annotations

import os

from olhar.classifier import model_folder
from olhar.deploy.ml_folder import MlFolder
from olhar.progress import Progress

_HOST = "0.0.0.0"  # noqa: S104  a container is reached from outside, and by nobody else
_VARIABLES = {
    "port": "SAGEMAKER_BIND_TO_PORT",
    "workers": "SAGEMAKER_MODEL_SERVER_WORKERS",
    "token": "OLHAR_TOKEN",
}


def serve_model(folder: MlFolder, progress: Progress) -> None:
    """Serve until SIGTERM; then answer what was accepted.

    The environment may say `SAGEMAKER_BIND_TO_PORT` (8080), `SAGEMAKER_MODEL_SERVER_WORKERS` (1) and
    `OLHAR_TOKEN`, which SageMaker cannot send: it is for other places.

    Raises:
        MissingFileError: there is no model.
        ConfigError: a variable cannot be used.
        OlharError: the port is in use, or the model cannot be loaded.
    """
    from olhar.serving.server import serve
    from olhar.serving.settings import SERVE, ServeSettings

    given = {key: os.environ.get(name, "").strip() for key, name in _VARIABLES.items()}
    values = {key: SERVE[key].check(text, _VARIABLES[key]) for key, text in given.items() if text}
    model = model_folder(folder.model)
    serve({"model": model}, ServeSettings(host=_HOST, **values), progress)
