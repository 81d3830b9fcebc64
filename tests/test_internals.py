"""What olhar uses of other libraries that they promise to nobody: this fails first where it has moved.

Each of these libraries has an upper bound in pyproject.toml. Whoever raises one runs this, then the rest.
"""

from __future__ import annotations

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
BOUNDED = ("uvicorn", "optuna", "ray")


def requirements() -> dict[str, Requirement]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    found = [Requirement(line) for lines in extras.values() for line in lines]
    return {one.name: one for one in found if one.name in BOUNDED}


@pytest.mark.parametrize("name", BOUNDED)
def test_a_library_whose_internals_are_used_is_bounded_and_installed_within(name: str) -> None:
    wanted = requirements()[name].specifier
    assert any(one.operator in {"<", "<="} for one in wanted), f"{name} has no upper bound"
    assert version(name) in wanted


def test_uvicorn_has_what_the_servers_build_on() -> None:
    pytest.importorskip("httptools")
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    for name in (
        *("connection_made", "data_received", "on_message_begin", "on_url", "on_header"),
        *("on_headers_complete", "on_body", "on_message_complete", "connection_lost"),
        *("send_400_response", "_unset_keepalive_if_required"),
    ):
        assert callable(getattr(HttpToolsProtocol, name, None)), f"HttpToolsProtocol.{name}"
    words = inspect.signature(HttpToolsProtocol.__init__).parameters
    assert [*words][1:4] == ["config", "server_state", "app_state"]
    for name in ("startup", "shutdown", "on_tick", "capture_signals", "handle_exit"):
        assert callable(getattr(uvicorn.Server, name, None)), f"Server.{name}"
    assert uvicorn.server.HANDLED_SIGNALS
    source = inspect.getsource(HttpToolsProtocol)
    for name in ("self.cycle", "self.parser", "self.headers", "self.transport", "self.loop"):
        assert name in source, f"HttpToolsProtocol has no {name}"


def test_optuna_says_by_which_number_a_trial_is_stored() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.ask()
    (trial,) = study.get_trials(deepcopy=False)
    optuna.trial.Trial(study, trial._trial_id).report(1.0, 1)
    assert study.trials[0].intermediate_values == {1: 1.0}


def test_ray_prints_what_nodes_say_where_it_can_be_stopped() -> None:
    source = Path(inspect.getfile(pytest.importorskip("ray"))).parent / "_private" / "worker.py"
    assert "def print_to_stdstream(" in source.read_text(encoding="utf-8")
