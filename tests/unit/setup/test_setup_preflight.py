import importlib
import os
import subprocess
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

GIB = 1024**3
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def preflight():
    return importlib.import_module("preflight")


@pytest.mark.parametrize(("system", "machine"), [("Linux", "x86_64"), ("Linux", "aarch64")])
def test_known_platforms(preflight, system, machine):
    assert preflight.platform_problem(system, machine) == ""


@pytest.mark.parametrize(("system", "machine"), [("Windows", "AMD64"), ("Darwin", "arm64"), ("Linux", "i686")])
def test_other_platforms_are_named(preflight, system, machine):
    assert f"{system} on {machine}" in preflight.platform_problem(system, machine)


def test_disk_problem_says_where_how_much_and_what_to_do(preflight, tmp_path):
    where = Path("/somewhere")
    assert preflight.disk_problem(8 * GIB, 8 * GIB, where) == ""
    assert preflight.disk_problem(int(7.5 * GIB), 8 * GIB, where) == (
        "/somewhere has 7.5 GiB free, 8 GiB are needed: free some."
    )
    assert "TMPDIR" in preflight.disk_problem(GIB, 2 * GIB, Path(tempfile.gettempdir()))


def test_missing_module_and_library_name_the_package_to_install(preflight):
    assert preflight.module_problem("json") == ""
    assert "-venv" in preflight.module_problem("no_such_module_anywhere")
    assert preflight.library_problem("libc.so.6", "libc6") == ""
    assert "apt-get install libnuma1" in preflight.library_problem("libno-such-library.so.1", "libnuma1")


def test_everything_that_is_missing_is_said_at_once(preflight, monkeypatch, tmp_path):
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(100 * GIB, 99 * GIB, GIB))
    monkeypatch.setattr(preflight, "library_problem", lambda library, package: f"{library} is missing")
    monkeypatch.setattr(preflight.platform, "machine", lambda: "i686")
    found = preflight.missing(tmp_path, tmp_path / ".venv", "cpu")
    assert len(found) == 4
    assert "i686" in found[0]
    assert "libnuma.so.1" in found[1]
    assert f"{tmp_path} has 1.0 GiB free, 8 GiB" in found[2]


def test_an_environment_that_is_already_there_counts_as_room(preflight, monkeypatch, tmp_path):
    """Its packages are not downloaded again, so a nearly full disk is no reason to refuse."""
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(100 * GIB, 95 * GIB, 5 * GIB))
    monkeypatch.setattr(preflight, "library_problem", lambda library, package: "")
    monkeypatch.setattr(preflight, "folder_size", lambda folder: 4 * GIB)
    assert preflight.missing(tmp_path, tmp_path / ".venv", "cpu") == []


def test_folder_size_counts_files_and_not_what_links_point_at(preflight, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"x" * 1000)
    (tmp_path / "in" / "b").write_bytes(b"x" * 24)
    assert preflight.folder_size(tmp_path / "in") == 1024
    assert preflight.folder_size(tmp_path / "absent") == 0
    (tmp_path / "in" / "dangling").symlink_to(tmp_path / "absent")
    assert preflight.folder_size(tmp_path / "in") < 2048


@pytest.mark.parametrize(
    ("script", "extra"),
    [
        ("echo 'GPU 0: NVIDIA A10 (UUID: GPU-1)'", "gpu"),
        ("echo 'No devices were found'", "cpu"),
        ("echo 'GPU 0: something' ; exit 9", "cpu"),
    ],
)
def test_gpu_is_detected_by_asking_the_driver(preflight, monkeypatch, tmp_path, script, extra):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    assert subprocess.run([tool, "-L"], capture_output=True, check=False).stdout
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert preflight.detect_extra() == extra


def test_without_the_driver_it_is_a_cpu_machine(preflight, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert preflight.detect_extra() == "cpu"
