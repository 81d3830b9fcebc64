"""`serve`: the model under /opt/ml/model over HTTP, as `olhar serve` does it, torch-free."""

from __future__ import annotations

import os

from olhar.classifier import model_folder
from olhar.deploy.ml_folder import MlFolder
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.progress import Progress

_HOST = "0.0.0.0"  # noqa: S104  a container is reached from outside, and by nobody else
_PORT, _WORKERS, _TOKEN = "SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_MODEL_SERVER_WORKERS", "OLHAR_TOKEN"


def serve_model(folder: MlFolder, progress: Progress) -> None:
    """Serve until SIGTERM; then answer what was accepted.

    The environment may say `SAGEMAKER_BIND_TO_PORT` (8080), `SAGEMAKER_MODEL_SERVER_WORKERS` (1) and
    `OLHAR_TOKEN`, which SageMaker cannot send: it is for other places.

    Raises:
        MissingFileError: there is no model.
        ConfigError: a variable cannot be used.
        OlharError: the port is in use, or the model cannot be loaded.
    """
    from olhar.serving.server import DEFAULT_PORT, serve
    from olhar.serving.settings import ServeSettings

    port, workers = _number(_PORT, DEFAULT_PORT), _number(_WORKERS, 1)
    settings = ServeSettings(token=_token())
    model = model_folder(folder.model)
    serve({"model": model}, settings, host=_HOST, port=port, workers=workers, progress=progress)


def _number(name: str, default: int) -> int:
    given = os.environ.get(name, "").strip() or str(default)
    if not given.isdecimal() or not given.isascii():
        raise ConfigError(_("{name} is '{given}'; allowed: a whole number", name=name, given=given))
    return int(given)


def _token() -> str | None:
    token = os.environ.get(_TOKEN, "").strip()
    if not token.isascii() or not token.isprintable():
        raise ConfigError(_("the token in {name} must be plain ASCII without spaces", name=_TOKEN))
    return token or None
