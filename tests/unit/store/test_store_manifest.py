from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import psutil
import pytest

from harness.errors import StoreError
from harness.store import machine, manifest, read_manifest, versions, write_manifest
from harness.types import Decoding


def test_a_manifest_is_read_back(tmp_path):
    path = write_manifest(tmp_path / "run", {"decoding": Decoding(), "path": tmp_path, "loss": 1.5})
    assert path == tmp_path / "run" / "manifest.json"
    assert read_manifest(tmp_path / "run")["decoding"]["max_tokens"] == 256
    write_manifest(tmp_path / "run", {"loss": 1.0})
    assert read_manifest(tmp_path / "run") == {"loss": 1.0}
    assert [file.name for file in path.parent.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("{", "damaged"), ("[]", "no JSON object")])
def test_what_is_no_manifest_is_said(tmp_path, content, said):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=said):
        read_manifest(tmp_path)


def test_a_value_that_cannot_be_written_leaves_the_old_manifest(tmp_path):
    write_manifest(tmp_path, {"a": 1})
    with pytest.raises(TypeError):
        write_manifest(tmp_path, {"a": object()})
    assert read_manifest(tmp_path) == {"a": 1}


def test_machine_agrees_with_psutil(monkeypatch, tmp_path):
    monkeypatch.setattr(manifest, "CGROUP", tmp_path)
    found = machine()
    assert found["cores"] == len(psutil.Process().cpu_affinity())
    assert found["ram"] == pytest.approx(psutil.virtual_memory().total, rel=1e-3)
    assert found["cpu"]
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    json.dumps(found)


def test_machine_sees_the_limits_of_a_container(monkeypatch, tmp_path):
    monkeypatch.setattr(manifest, "CGROUP", tmp_path)
    whole = machine()
    (tmp_path / "memory.max").write_text("1048576\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert (machine()["ram"], machine()["cores"]) == (1048576, 0.5)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine() == whole


def test_versions_are_those_installed_and_nothing_is_imported():
    found = versions()
    assert found["pytest"] == importlib.metadata.version("pytest")
    assert "no-such-package" not in versions(("no-such-package", "pytest"))
    code = "import sys; from harness.store import versions; versions(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "transformers", "openai", "vllm", "peft", "pydantic", "rich", "typer", "psutil", "numpy", "yaml"}
    assert not heavy & set(loaded)
