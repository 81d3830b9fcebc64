"""Dockerfile and compose.yaml without a Docker engine: linted, validated, and their commands run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stores_servers import free_port, wait_for

jsonschema = pytest.importorskip("jsonschema", reason="compose.yaml is checked by its schema")
yaml = pytest.importorskip("yaml", reason="compose.yaml is read")

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "tests/data/compose_spec.json"
STAGES = ["install", "install-train", "install-notebooks", "base", "notebooks", "train", "serve"]


def dockerfile() -> dict[str, list[tuple[str, str]]]:
    """Instructions by stage, in order: (name, rest)."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    stages: dict[str, list[tuple[str, str]]] = {"": []}
    name = ""
    for line in lines.replace("\\\n", " ").splitlines():
        word, _space, rest = line.strip().partition(" ")
        if word == "FROM":
            name = rest.split(" AS ")[1]
            stages[name] = []
        if word:
            stages[name].append((word, rest.strip()))
    return stages


def last(stage: str, word: str) -> str:
    """What an instruction says in a stage, or in those that it is made from."""
    stages = dockerfile()
    while stage in stages:
        found = [rest for name, rest in stages[stage] if name == word]
        if found:
            return found[-1]
        stage = stages[stage][0][1].split(" AS ")[0]
    raise AssertionError(f"no {word}")


class TestDockerfile:
    def test_hadolint_finds_nothing(self) -> None:
        program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}"
                               f"{os.environ.get('PATH', '')}")  # fmt: skip
        if program is None:
            pytest.skip("hadolint is not installed")
        done = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, check=False)
        assert (done.returncode, done.stdout.decode()) == (0, "")

    def test_stages(self) -> None:
        assert list(dockerfile())[1:] == STAGES, "serve is the last, which is the default"
        image = last("", "ARG") if "" in dockerfile() else ""
        assert re.fullmatch(r"PYTHON_IMAGE=python:\d+\.\d+\.\d+-slim-\w+", image)

    @pytest.mark.parametrize("stage", ["notebooks", "train", "serve"])
    def test_nobody_is_root_unless_told(self, stage: str) -> None:
        assert last(stage, "USER") == "${RUN_AS}"
        assert ("ARG", "RUN_AS=olhar") in dockerfile()["base"]
        assert last(stage, "HEALTHCHECK")

    def test_serving_has_no_torch_and_nothing_is_secret(self) -> None:
        stages = dockerfile()
        installs = [rest for word, rest in stages["install"] if word == "RUN"]
        assert not any(re.search(r"\btrain\b|torch", rest) for rest in installs)
        assert ("COPY", "--from=install /opt/olhar /opt/olhar") in stages["serve"]
        for content in stages.values():
            for word, rest in content:
                if word in {"ENV", "ARG"}:
                    assert not re.search(r"(?i)password|secret|token|access_key", rest)

    def test_what_is_copied_is_there_and_not_ignored(self) -> None:
        kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        assert "*" in kept
        for word, rest in dockerfile()["install"]:
            if word == "COPY":
                for name in shlex.split(rest)[:-1]:
                    assert (ROOT / name).exists()
                    assert f"!{name}" in kept

    def test_the_extras_exist(self) -> None:
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for content in dockerfile().values():
            for _word, rest in content:
                for extras in re.findall(r'"\.\[([\w,]+)\]"', rest):
                    assert set(extras.split(",")) <= set(project["optional-dependencies"])

    def test_entrypoint_and_health_check_as_processes(
        self, digits_run: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(digits_run / "model", tmp_path / "ml/model")
        health = json.loads(last("serve", "HEALTHCHECK").partition("CMD ")[2])
        with serve_container(tmp_path / "ml", sys.executable) as environment:
            healthy = subprocess.run([sys.executable, *health[1:]], env=environment, check=False)
        ill = subprocess.run(
            [sys.executable, *health[1:]], env=environment, capture_output=True, check=False
        )
        assert (healthy.returncode, ill.returncode) == (0, 1)


@contextmanager
def serve_container(root: Path, python: str) -> Iterator[dict[str, str]]:
    """What the image runs by default, on a port that is free; yields its environment."""
    words = [*json.loads(last("serve", "ENTRYPOINT")), *json.loads(last("serve", "CMD"))]
    assert words[0] == "python"
    port = free_port()
    environment = {
        **os.environ,
        "OLHAR_ML_ROOT": str(root),
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    process = subprocess.Popen([python, *words[1:]], env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield environment
    finally:
        process.terminate()
        assert process.wait(30) == 0


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found


class TestCompose:
    def test_it_follows_the_specification(self) -> None:
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        validator = jsonschema.Draft201909Validator(schema)
        validator.validate(compose())
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({"services": {"a": {"imag": "b"}}})

    def test_every_service_is_watched_pinned_and_local(self) -> None:
        for name, service in compose()["services"].items():
            assert service["healthcheck"]["test"], name
            assert not service["image"].endswith(":latest")
            assert re.search(r":[\w.-]+$", service["image"])
            for port in service.get("ports", ()):
                assert port.startswith("127.0.0.1:"), name
            build = service.get("build")
            assert build is None or build["target"] in STAGES

    def test_named_volumes(self) -> None:
        found = compose()
        named = set()
        for service in found["services"].values():
            for volume in service.get("volumes", ()):
                source = volume.rpartition("}")[0] or volume.partition(":")[0]
                if not source.startswith((".", "$")):
                    named.add(source)
        assert named == set(found["volumes"])

    def test_no_password_has_a_default(self) -> None:
        text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
        used = dict(re.findall(r"\$\{(\w+):(\?[^}]+|-[^}]*)\}", text))
        for name, rest in used.items():
            if re.search("PASSWORD|KEY|TOKEN|USER", name):
                assert rest.startswith("?") or rest == "-", name
        lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        example = {line for line in lines if line and not line.startswith("#")}
        assert example == {f"{name}=" for name in used}
        for service in compose()["services"].values():
            for name, value in service.get("environment", {}).items():
                if re.search("PASSWORD|SECRET|KEY|TOKEN", name):
                    assert re.fullmatch(r"\$\{\w+:(\?[^}]+|-)\}", value), name
        ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
        assert ".env" in ignored


@pytest.mark.soak
def test_the_installation_of_the_serving_image(digits_run: Path, tmp_path: Path) -> None:
    """The RUN steps of `install`, in a folder with just what the image gets; then it serves."""
    for word, rest in dockerfile()["install"]:
        if word == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                place = tmp_path / target / (source if target.endswith("/") else "")
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
                copy(ROOT / source, place)  # type: ignore[operator]
        if word == "RUN":
            words = shlex.split(rest.replace("/opt/olhar", str(tmp_path / "venv")))
            program = sys.executable if words[0] == "python" else words[0]
            subprocess.run([program, *words[1:]], cwd=tmp_path, check=True)
    python = tmp_path / "venv/bin/python"
    torch = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False)
    assert torch.returncode == 1
    shutil.copytree(digits_run / "model", tmp_path / "ml/model")
    health = json.loads(last("serve", "HEALTHCHECK").partition("CMD ")[2])
    with serve_container(tmp_path / "ml", str(python)) as environment:
        subprocess.run([python, *health[1:]], env=environment, check=True)
