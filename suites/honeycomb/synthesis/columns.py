"""The list of columns that a question comes with: the few that matter among many that do not."""

from __future__ import annotations

import string
from random import Random

from suites.honeycomb.synthesis.plan import Plan

COMMON = (
    *("trace.trace_id", "trace.span_id", "name", "type", "meta.signal_type", "meta.annotation_type", "message"),
    *("library.name", "library.version", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"),
    *("telemetry.instrumentation_library", "process.pid", "process.runtime.name", "process.runtime.version"),
    *("process.command", "process.executable.path", "host.arch", "host.image.id", "net.transport", "net.host.port"),
    *("net.sock.peer.addr", "net.peer.port", "thread.id", "thread.name", "code.function", "code.lineno"),
    *("code.filepath", "service.instance.id", "otel.library.version", "otel.status_description"),
    *("enduser.role", "enduser.scope", "aws.account.id", "faas.coldstart", "faas.version", "sli.availability"),
    *("dc.ensure_nonnegative", "dc.is_slow", "span.annotation", "exception.stacktrace", "exception.escaped"),
    *("sample_rate", "timestamp", "severity", "severity_code", "slo.budget", "link.trace_id", "ingest.delay_s"),
    *("plan.tier", "team.slug", "org.slug", "app.locale", "app.theme", "request_bucket", "graph.node_count"),
)
"""Columns that telemetry libraries add everywhere; none is called like a domain's."""

ALPHANUMERIC = string.ascii_letters + string.digits
FEWEST, MOST = 20, 62
MEAN, SPREAD = 50, 8


def list_columns(plan: Plan, rng: Random) -> list[str]:
    """Return the row's columns, shuffled: those the query names, others of the domain, common ones and noise."""
    wanted = min(max(round(rng.gauss(MEAN, SPREAD)), FEWEST), MOST)
    used = plan.used()
    others = [name for name in plan.domain.columns if name not in used]
    chosen = [*sorted(used), *rng.sample(others, round(len(others) * rng.uniform(0.6, 1.0)))]
    noise = [_noise(rng) for _ in range(rng.randrange(1, 6))]
    common = rng.sample(COMMON, max(wanted - len(chosen) - len(noise), 0))
    columns = [*chosen, *noise, *common]
    rng.shuffle(columns)
    return columns


def _noise(rng: Random) -> str:
    """Return a column name that a program made up, such as ``disposition_for_dBVVysC8x4Ymwg9rtjMckgw9``."""
    mark = "".join(rng.choices(ALPHANUMERIC, k=rng.choice((8, 12, 24))))
    return rng.choice(("disposition_for_", "disposition_for_", "exp_bucket.", "flag_")) + mark
