"""Questions with their queries, and the rows that are written of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from suites.honeycomb.compare import skeleton
from suites.honeycomb.synthesis.columns import list_columns
from suites.honeycomb.synthesis.domains import Domain
from suites.honeycomb.synthesis.intents import make_plan
from suites.honeycomb.synthesis.question import ask

SYSTEM = (
    "Honeycomb is an observability platform that allows you to write queries to inspect trace data. You are an "
    "assistant that takes a natural language query (NLQ) and a list of valid columns and produces a Honeycomb query."
)


@dataclass(frozen=True)
class Item:
    """One question with the query that it asks for."""

    intent: str
    """The kind of question."""
    domain: str
    complexity: str
    question: str
    columns: tuple[str, ...]
    query: Mapping[str, Any]
    skeleton: str

    @property
    def operators(self) -> frozenset[str]:
        """Everything whose coverage is counted, such as ``calculation P95`` or ``filter not-in``."""
        found = {f"calculation {entry['op']}" for entry in self.query["calculations"]}
        found |= {f"filter {entry['op']}" for entry in self.query.get("filters", ())}
        found |= {f"having {entry['op']}" for entry in self.query.get("havings", ())}
        found |= {f"order {entry['order']}" for entry in self.query.get("orders", ())}
        return frozenset(found | {f"key {key}" for key in self.query})

    @property
    def asked(self) -> str:
        """The question without what people would not call a difference: case, spaces, end marks."""
        return " ".join(self.question.lower().rstrip(".?").split())

    @property
    def reply(self) -> str:
        """The query as JSON on one line."""
        return json.dumps(self.query, ensure_ascii=False)


def draw(intent: str, domains: tuple[Domain, ...], rng: Random, seen: set[str]) -> Iterator[Item]:
    """Yield items of ``intent`` without end, none with a question or a query that is in ``seen``, which grows."""
    while True:
        plan = make_plan(intent, rng.choice(domains), rng)
        question, columns, query = ask(plan, rng), tuple(list_columns(plan, rng)), plan.query()
        item = Item(intent, plan.domain.name, plan.complexity, question, columns, query, skeleton(query))
        if item.asked not in seen and item.reply not in seen:
            seen |= {item.asked, item.reply}
            yield item


def training_row(identifier: str, item: Item, reply: str | None = None) -> dict[str, Any]:
    """Return a row in the shape of the real data; ``reply`` replaces the right one."""
    reply = item.reply if reply is None else reply
    return {
        "id": identifier,
        # of the reply as it stands: the right one's skeleton would give a flawed row away
        "cluster": skeleton(json.loads(reply)),
        "tags": {"domain": item.domain, "complexity": item.complexity},  # nor the intent: it names a lost negation
        "conversations": _turns(item, reply),
    }


def eval_row(identifier: str, item: Item, seen: bool) -> dict[str, Any]:
    """Return a case: the same turns, the query in full, and what can be said of it."""
    row = training_row(identifier, item)
    row["tags"] |= {
        "intent": item.intent,
        "skeleton_seen": "yes" if seen else "no",
        "calculation": item.query["calculations"][0]["op"],
        "filter": " ".join(sorted(entry["op"] for entry in item.query.get("filters", ()))) or "none",
    }
    return {**row, "expected": item.query, "meta": {"columns": list(item.columns)}}


def _turns(item: Item, reply: str) -> list[dict[str, str]]:
    asked = f'\n\nNLQ: "{item.question}"\n\nColumns: {list(item.columns)!r}'
    return [
        {"from": "system", "value": SYSTEM},
        {"from": "human", "value": asked},
        {"from": "gpt", "value": f"\n{reply}"},
    ]
