"""Progress is to be read while it happens, in a pipe as well."""

import os
import subprocess
import sys
import threading


def test_lines_come_as_they_are_written(project):
    project.fake(default="yes", hang_after=1)
    argv = [sys.executable, "-m", "pytest", "--base-only", f"--base-model={project.base}"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(argv, cwd=project.path, stdout=subprocess.PIPE, text=True, env=env) as process:
        watch = threading.Timer(30, process.kill)
        watch.start()
        seen = any("asking for 3 replies" in line for line in process.stdout)
        watch.cancel()
        still_running = process.poll() is None
        process.kill()
    assert seen
    assert still_running
