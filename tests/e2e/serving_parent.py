"""A run of its own, to be killed from outside: ``ENGINE|foreground`` and where to write what it has started."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil

from harness.config import ServeConfig
from harness.errors import EngineError
from harness.serving import check_applied, make_engine, serve_foreground
from harness.types import Adapter, Base


def family() -> list[int]:
    return [process.pid for process in psutil.Process().children(recursive=True)]


def main(job: SimpleNamespace) -> None:
    base, adapter = Base.from_json(job.base), Adapter.from_json(job.adapter)
    config = ServeConfig(engine=job.engine, dtype="float32", max_model_len=512, adapter=job.mode)
    out = Path(job.out)

    def tell(**what: object) -> None:
        out.with_suffix(".part").write_text(json.dumps({"family": family(), **what}), encoding="utf-8")
        out.with_suffix(".part").rename(out)

    if job.foreground:
        engine = make_engine(config, base, None, merged=None, work=out.parent)
        serve_foreground(
            engine,
            template=job.template,
            stop_ids=job.stop_ids,
            on_event=lambda event: None,
            on_ready=lambda served: tell(url=served.url, key=served.key, models=served.models),
        )
        return
    # the base lies where the merged model should: an engine cannot notice, the canary must
    engine = make_engine(config, base, adapter, merged=lambda: base.path, work=out.parent)
    engine.start(lambda event: None)
    try:
        check_applied(engine, job.canary["ids"], job.canary["base_logprobs"], job.canary["merged_logprobs"])
        tell(error=None)
    except EngineError as error:
        tell(error=str(error), folder=str(engine.server.folder))
    time.sleep(600)


if __name__ == "__main__":
    main(SimpleNamespace(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
