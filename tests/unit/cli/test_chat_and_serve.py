"""``harness chat`` and ``harness serve``: what is refused before anything is started."""

import pytest
from hand_world import files, make_base


@pytest.mark.parametrize("command", ["chat", "serve"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "nope is neither an adapter's folder nor a run"),
        (["./nope"], "./nope is neither an adapter's folder nor a run"),
        (["base"], "base does not say which base it belongs to"),
        (["adapter", "--engine", "vlm"], "'vlm' is not an engine: they are auto, vllm, transformers"),
        (["adapter", "--base-model", "./nowhere"], "the base model is not there"),
        (["adapter", "--base-model", "./other"], "it was made for another base"),
    ],
)
def test_bad_input_is_told_and_nothing_started(world, harness, command, arguments, said):
    make_base(world.folder / "other")
    world.replace("other/model.safetensors", "q_proj", "p_proj")
    before = files(world.folder)
    done = harness(command, *arguments)
    assert done.code == 2
    assert said in done.told
    assert "Traceback" not in done.err
    assert not world.home.sessions.exists()
    assert files(world.folder) == before


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_what_is_no_port_is_told(world, harness, port):
    done = harness("serve", "adapter", "--port", port)
    assert done.code == 2
    assert "'--port'" in done.told


def test_a_port_that_is_taken_is_told(world, harness):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = harness("serve", "adapter", "--port", port)
    assert done.code == 12
    assert f"error: port {port} of 127.0.0.1 cannot be used" in done.err
    assert "--port 0 takes a free one" in done.err
