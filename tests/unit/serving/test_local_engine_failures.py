from __future__ import annotations

import pytest

from harness.serving.failures import engine_died, plain

CASES = [
    ("(EngineCore pid=3) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "out of memory"),
    ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.", "out of memory"),
    ("MemoryError", "out of memory"),
    ("OSError: [Errno 98] Address already in use", "taken by another process"),
    (
        "(Worker pid=9) ERROR 11-24 03:52:31 [multiproc_executor.py:880] ValueError: Available memory on node 0 "
        "(1.0/23.0 GiB) on kv cache allocation is less than requested memory for kv (64.0 GiB).",
        "does not fit",
    ),
    (
        "ValueError: To serve at least one request with the models's max seq len (131072), (16.0 GiB KV cache is "
        "needed, which is larger than the available KV cache memory (2.0 GiB).",
        "does not fit",
    ),
    ("ValueError: No available memory for the cache blocks.", "does not fit"),
    ("ModuleNotFoundError: No module named 'vllm'", "package is missing"),
    ("ValueError: Head size 24 is not supported by CPUAttention.", "does not support the model"),
    ("api_server.py: error: unrecognized arguments: --foo", "does not know one of its options"),
    (
        "ValueError: User-specified max_model_len (99999) is greater than the derived max_model_len (8192)",
        "more than the model can",
    ),
]


@pytest.mark.parametrize(("line", "cause"), CASES, ids=[cause for _, cause in CASES])
def test_the_cause_is_found_among_the_lines(line, cause):
    lines = ["INFO starting", line, *(f"Traceback line {number}" for number in range(50)), "RuntimeError: see above"]
    error = engine_died("vllm", "while starting", lines, 1)
    first, evidence, *_ = str(error).splitlines()
    assert first.startswith("the vllm engine ended while starting (exit code 1)")
    assert cause in first
    assert plain(line)[:40] in evidence
    assert error.tail[-1] == "RuntimeError: see above"
    assert error.exit_code == 12


def test_an_unknown_cause_shows_the_last_lines():
    error = engine_died("vllm", "while answering", ["a", "", "b"], -6)
    assert str(error).splitlines() == ["the vllm engine ended while answering (exit code -6)", "  | a", "  | b"]


def test_signal_nine_is_explained():
    assert "memory" in str(engine_died("vllm", "while starting", [], 137))


def test_log_prefixes_are_taken_off():
    line = "(APIServer pid=12) ERROR 11-24 03:52:31 [core.py:1100] ValueError: no"
    assert plain(line) == "ValueError: no"
    assert plain("ValueError: no") == "ValueError: no"
