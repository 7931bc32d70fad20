"""``harness chat`` and ``harness serve``: what is refused before anything is started."""

import io

import pytest
from hand_world import files, make_base
from rich.console import Console

from harness.cli.chat import Conversation
from harness.data import Renderer
from harness.job.byhand import Opened
from harness.types import Decoding


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


class Echo:
    """Streams "yes" and room for ``max_model_len`` tokens."""

    max_model_len = 100

    def __init__(self):
        self.asked = []

    def stream(self, request, *, base=False):
        self.asked.append(request.prompt_ids)
        yield from ("no",) if base else ("y", "es")


@pytest.fixture
def talk(world):
    renderer = Renderer.from_folder(world.base, template=None)
    opened = Opened("adapter", renderer, Echo(), None, lambda: None)
    out = Console(file=io.StringIO(), width=200, highlight=False)
    return Conversation(opened, out, Decoding(), compare=True, show_prompt=False)


def shown(talk):
    return talk._out.file.getvalue()


def test_the_conversation_goes_on_with_the_adapters_reply(talk):
    assert talk.take("hi")
    assert shown(talk) == "[base]\nno\n[adapter]\nyes\n"
    assert [(m.role, m.content) for m in talk.messages] == [("user", "hi"), ("assistant", "yes")]
    assert talk.take("/prompt")
    assert "<s>user: hi</s><s>assistant: yes</s><s>assistant: " in shown(talk)


def test_a_turn_that_cannot_be_rendered_ends_no_conversation(talk):
    assert talk.take("/prompt")
    assert "error: " in shown(talk)
    assert talk.take("hi")
    assert len(talk.messages) == 2


def test_a_full_context_is_told_and_the_conversation_is_kept(talk):
    talk.take("hi")
    kept = talk.messages
    assert talk.take("x" * 100)
    assert "leave no room for a reply (100 fit)\n/reset starts anew" in shown(talk)
    assert talk.messages == kept
    talk.take("/reset")
    talk.take("hi")
    assert talk.messages == kept


def test_commands_are_not_sent_to_the_model(talk):
    for line in ("/system Be kind.", "/what", "", "   "):
        assert talk.take(line)
    assert not talk.take("/quit")
    assert talk._opened.engine.asked == []
    assert [(m.role, m.content) for m in talk.messages] == [("system", "Be kind.")]
