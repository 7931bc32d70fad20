from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import EngineError
from harness.serving import VllmEngine
from harness.serving.server import Address
from harness.serving.vllm import LORA_RANKS, RESERVED, lora_rank


def options(argv):
    """Pair each option with what follows it."""
    return {
        option: None if following.startswith("--") else following
        for option, following in zip(argv, [*argv[1:], "--"], strict=True)
        if option.startswith("--")
    }


@pytest.fixture
def engine_of(plan, base, adapter, tmp_path):
    def make(with_adapter=True, **changes):
        return VllmEngine(
            dataclasses.replace(plan, **changes), base, adapter if with_adapter else None, merged=None, work=tmp_path
        )

    return make


def test_a_base_on_cpu(engine_of, base):
    argv = engine_of(with_adapter=False).arguments(base.path)
    assert argv[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    given = options(argv)
    assert given["--model"] == str(base.path)
    assert given["--served-model-name"] == "base-" + "b" * 8
    assert given["--generation-config"] == "vllm"
    assert json.loads(given["--structured-outputs-config"]) == {"backend": "guidance"}
    assert given["--dtype"] == "bfloat16"
    assert given["--max-model-len"] == "64"
    assert given["--kv-cache-memory-bytes"] == str(2**31)
    assert "--enforce-eager" in given
    assert "--gpu-memory-utilization" not in given
    assert "--enable-lora" not in given


def test_a_cpu_computes_on_every_core_unless_told_otherwise(engine_of, monkeypatch):
    monkeypatch.delenv(RESERVED, raising=False)
    assert engine_of().environment()[RESERVED] == "0"
    assert RESERVED not in engine_of(device="cuda").environment()
    monkeypatch.setenv(RESERVED, "2")
    assert engine_of().environment()[RESERVED] == "2"


def test_lora_serves_base_and_adapter_under_content_names(engine_of, base, adapter):
    given = options(engine_of(mode="lora").arguments(base.path))
    assert given["--served-model-name"] == "base-" + "b" * 8
    module = json.loads(given["--lora-modules"])
    assert module == {"name": "adapter-" + "a" * 8, "path": str(adapter.path), "base_model_name": "base-" + "b" * 8}
    assert "--enable-lora" in given
    assert given["--max-lora-rank"] == "32"  # rank_pattern holds a 20


def test_merged_serves_one_model_under_the_adapters_name(engine_of):
    given = options(engine_of(mode="merged").arguments(Path("/merged")))
    assert (given["--model"], given["--served-model-name"]) == ("/merged", "adapter-" + "a" * 8)
    assert "--enable-lora" not in given


def test_on_a_gpu(engine_of, base):
    plan = {"device": "cuda", "eager": False, "kv_cache_bytes": None, "tensor_parallel": 2}
    given = options(engine_of(with_adapter=False, **plan).arguments(base.path))
    assert given["--gpu-memory-utilization"] == "0.9"
    assert given["--tensor-parallel-size"] == "2"
    assert "--enforce-eager" not in given
    assert "--kv-cache-memory-bytes" not in given


def test_a_key_is_not_on_the_command_line(engine_of, base):
    argv, env = engine_of(with_adapter=False).command(Address(port=8001, key="secret"), base.path, None)
    assert "secret" not in " ".join(argv)
    assert env["VLLM_API_KEY"] == "secret"
    assert options(argv)["--host"] == "127.0.0.1"
    assert options(argv)["--port"] == "8001"


def test_a_socket_has_no_port(engine_of, base, tmp_path):
    argv, _ = engine_of(with_adapter=False).command(Address(socket=tmp_path / "s"), base.path, None)
    assert options(argv)["--uds"] == str(tmp_path / "s")
    assert "--port" not in options(argv)


@pytest.mark.parametrize(("rank", "allowed"), [(1, 1), (2, 8), (8, 8), (9, 16), (64, 64), (257, 320), (512, 512)])
def test_ranks_are_rounded_up(adapter, rank, allowed):
    (adapter.path / "adapter_config.json").write_text(json.dumps({"r": rank}))
    assert lora_rank(adapter) == allowed


def test_a_rank_that_vllm_cannot_serve(adapter):
    (adapter.path / "adapter_config.json").write_text(json.dumps({"r": 513}))
    with pytest.raises(EngineError, match=r"rank 513.*512.*\n.*merged"):
        lora_rank(adapter)


def test_an_adapter_without_config(adapter):
    (adapter.path / "adapter_config.json").unlink()
    with pytest.raises(EngineError, match=r"adapter_config.json"):
        lora_rank(adapter)


def test_beam_search_names_the_engine_that_can(engine_of, make_request):
    engine = engine_of(with_adapter=False)
    assert "transformers" in engine.refusal(make_request(beams=4))
    assert engine.refusal(make_request()) is None


@pytest.mark.e2e
def test_the_installed_vllm_knows_every_option_and_rank(engine_of, base, adapter):
    """Asks its own parser, without starting anything."""
    pytest.importorskip("vllm", reason="vLLM is not installed")
    argv, _ = engine_of(mode="lora").command(Address(port=8001, key="k"), base.path, None)
    code = (
        "import sys, typing\n"
        "from vllm.config.lora import MaxLoRARanks\n"
        "from vllm.entrypoints.launchers.cli_args import make_arg_parser\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "args = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])\n"
        f"assert typing.get_args(MaxLoRARanks) == {LORA_RANKS!r}\n"
        "assert args.structured_outputs_config.backend == 'guidance', args.structured_outputs_config\n"
        "assert args.lora_modules[0].name.startswith('adapter-')\n"
    )
    subprocess.run([sys.executable, "-c", code, *argv[3:]], check=True, timeout=300)
