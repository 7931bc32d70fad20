"""The data set: made by the generator, of the promised shape, and each question says what its query asks."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.checks import is_json
from suites.honeycomb.compare import equivalent, skeleton
from suites.honeycomb.generate import DATA, EVAL_ROWS, SEED, TRAIN_ROWS, generate
from suites.honeycomb.query import named_columns, valid_query
from suites.honeycomb.spec import CALCULATIONS, COMPARISONS, DIRECTIONS, FILTERS
from suites.honeycomb.synthesis.columns import COMMON
from suites.honeycomb.synthesis.domains import Domain, load_domains
from suites.honeycomb.synthesis.flaws import SYSTEMATIC_INTENTS
from suites.honeycomb.synthesis.intents import INTENTS, make_plan
from suites.honeycomb.synthesis.question import ask
from suites.honeycomb.synthesis.split import make_split

FILES = ("train.jsonl", "train.demo.jsonl", "eval.jsonl", "answers.jsonl")
ROWS = ("train.jsonl", "train.demo.jsonl", "eval.jsonl")
HUMAN = re.compile(r"""\n\nNLQ: "([^"\n]+)"\n\nColumns: (\[.*\])""")


@cache
def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


@cache
def domains() -> dict[str, Domain]:
    return {domain.name: domain for domain in load_domains()}


def question(row: dict[str, Any]) -> str:
    match = HUMAN.fullmatch(row["conversations"][1]["value"])
    assert match
    return match[1]


def columns(row: dict[str, Any]) -> list[str]:
    match = HUMAN.fullmatch(row["conversations"][1]["value"])
    assert match
    names: list[str] = ast.literal_eval(match[2])
    return names


def query(row: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(row["conversations"][2]["value"])
    return value


def operators(rows: list[dict[str, Any]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        for key, name in (("calculations", "op"), ("filters", "op"), ("havings", "op"), ("orders", "order")):
            counts.update({f"{key} {entry[name]}" for entry in query(row).get(key, ())})
    return counts


def test_the_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    generate(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), f"{name}: run suites/honeycomb/generate.py"


def test_another_seed_gives_other_rows_of_the_same_number(tmp_path: Path) -> None:
    generate(tmp_path, seed=1, train=100, evaluation=50)
    lines = {name: (tmp_path / name).read_text(encoding="utf-8").splitlines() for name in FILES}
    assert [len(lines[name]) for name in ROWS] == [100, 100, 50]
    assert lines["train.jsonl"][0] != (DATA / "train.jsonl").read_text(encoding="utf-8").splitlines()[0]


def test_sizes() -> None:
    assert len(read("train.jsonl")) >= 600
    assert len(read("eval.jsonl")) >= 400
    assert [row["id"] for row in read("train.demo.jsonl")] == [row["id"] for row in read("train.jsonl")]
    ids = [row["id"] for row in read("train.jsonl") + read("eval.jsonl")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ROWS)
def test_rows_have_the_shape_of_the_real_ones(name: str) -> None:
    systems = set()
    for row in read(name):
        turns = row["conversations"]
        assert [turn["from"] for turn in turns] == ["system", "human", "gpt"]
        assert HUMAN.fullmatch(turns[1]["value"])
        assert turns[2]["value"].startswith('\n{"')
        systems.add(turns[0]["value"])
    assert len(systems) == 1


@pytest.mark.parametrize("name", ROWS)
def test_every_row_passes_level_1(name: str) -> None:
    for row in read(name):
        assert is_json(row["conversations"][2]["value"], "object")
        assert valid_query(query(row), columns(row), fewest_points=10), row["id"]


@pytest.mark.parametrize("name", ROWS)
def test_columns_are_many_and_mostly_noise(name: str) -> None:
    lists = [columns(row) for row in read(name)]
    assert all(len(names) == len(set(names)) for names in lists)
    assert 20 <= min(map(len, lists)) < 35
    assert 60 <= max(map(len, lists)) <= 70
    assert 45 <= sum(map(len, lists)) / len(lists) <= 55
    assert sum(any(name.startswith("disposition_for_") for name in names) for names in lists) > len(lists) / 2


def test_each_operator_is_trained_and_evaluated() -> None:
    wanted = {f"calculations {op}" for op in CALCULATIONS} | {f"filters {op}" for op in FILTERS}
    wanted |= {f"orders {direction}" for direction in DIRECTIONS} | {f"havings {op}" for op in COMPARISONS}
    trained, evaluated = operators(read("train.jsonl")), operators(read("eval.jsonl"))
    assert not {name for name in wanted if trained[name] < 3}  # 4, of which one may be flawed
    assert not {name for name in wanted if evaluated[name] < 2}


@pytest.mark.parametrize("name", ["train.jsonl", "eval.jsonl"])
def test_every_kind_of_query_is_there(name: str) -> None:
    queries = [query(row) for row in read(name)]
    counts = Counter(key for value in queries for key in value)
    assert all(counts[key] >= 5 for key in ("havings", "orders", "limit", "start_time", "end_time", "granularity"))
    assert sum(value.get("filter_combination") == "OR" for value in queries) >= 10
    assert sum(len(value["calculations"]) > 1 for value in queries) >= 10
    assert sum(len(value.get("breakdowns", ())) > 1 for value in queries) >= 10
    assert {row["tags"]["domain"] for row in read(name)} == set(domains())


def test_most_questions_are_simple() -> None:
    counts = Counter(row["tags"]["complexity"] for row in read("train.jsonl"))
    assert counts["complex"] < counts["simple"]
    assert counts["complex"] >= 0.08 * counts.total()


# the split


def test_a_good_part_of_the_eval_skeletons_is_never_trained() -> None:
    trained = {skeleton(query(row)) for row in read("train.jsonl")}
    rows = read("eval.jsonl")
    evaluated = {row["cluster"] for row in rows}
    assert 0.4 <= len(evaluated - trained) / len(evaluated) <= 0.5
    for row in rows:
        assert row["cluster"] == skeleton(row["expected"])
        assert row["tags"]["skeleton_seen"] == ("yes" if row["cluster"] in trained else "no")


def test_no_question_and_no_query_is_on_both_sides() -> None:
    trained = {question(row).lower().rstrip(".?") for row in read("train.jsonl")}
    assert not trained & {question(row).lower().rstrip(".?") for row in read("eval.jsonl")}
    queries = [query(row) for row in read("train.jsonl")]
    by_skeleton: dict[str, list[dict[str, Any]]] = {}
    for value in queries:
        by_skeleton.setdefault(skeleton(value), []).append(value)
    for row in read("eval.jsonl"):
        for value in by_skeleton.get(row["cluster"], ()):
            assert not equivalent(value, row["expected"]), row["id"]


def test_no_question_comes_twice() -> None:
    for name in ROWS:
        asked = Counter(question(row) for row in read(name))
        assert asked.most_common(1)[0][1] == 1


def test_eval_rows_carry_the_query_and_the_columns() -> None:
    for row in read("eval.jsonl"):
        assert row["expected"] == query(row)
        assert row["meta"]["columns"] == columns(row)
        assert row["tags"]["calculation"] == row["expected"]["calculations"][0]["op"]


# the questions


def test_a_question_names_each_column_by_one_of_its_names() -> None:
    for row in read("eval.jsonl"):
        known = domains()[row["tags"]["domain"]].columns
        asked = question(row).lower()
        for _, name in named_columns(row["expected"]):
            assert any(word.lower() in asked for word in (name, *known[name].called)), (row["id"], name, asked)


def test_a_question_names_each_value_and_number() -> None:
    for row in read("eval.jsonl"):
        asked = question(row)
        for entry in row["expected"].get("filters", []):
            values = entry["value"] if isinstance(entry.get("value"), list) else [entry.get("value", "")]
            for value in values:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                assert text.lower() in asked.lower(), (row["id"], text)
        numbers = [entry["value"] for entry in row["expected"].get("havings", [])]
        numbers += [row["expected"][key] for key in ("limit", "start_time", "end_time") if key in row["expected"]]
        assert all(str(number) in asked for number in numbers), row["id"]


def test_a_text_value_does_not_look_like_a_number_or_a_boolean() -> None:
    for domain in domains().values():
        for column in domain.columns.values():
            for value in (*column.values, *column.starts, *column.ends, *column.contains):
                assert isinstance(value, str) == (column.kind in ("category", "text", "id")), (column.name, value)
                assert not isinstance(value, str) or not re.fullmatch(r"[-+]?\d*\.?\d*|true|false", value), (
                    column.name,
                    value,
                )


def test_common_columns_are_called_like_no_column_of_a_domain() -> None:
    for domain in domains().values():
        called = {word.lower() for column in domain.columns.values() for word in column.called}
        assert not called & {re.sub(r"[._]", " ", name.lower()) for name in COMMON}
        assert not called & {re.split(r"[._]", name, maxsplit=1)[-1].replace("_", " ") for name in COMMON}


@pytest.mark.parametrize("intent", INTENTS)
def test_the_same_words_never_ask_for_two_things(intent: str) -> None:
    """Over many plans, equal questions (within a domain) have equal queries."""
    rng = Random(7)
    meant: dict[tuple[str, str], dict[str, Any]] = {}
    for _ in range(1500):
        plan = make_plan(intent, rng.choice(list(domains().values())), rng)
        key = plan.domain.name, ask(plan, rng).lower().rstrip(".?")
        assert equivalent(meant.setdefault(key, plan.query()), plan.query()), key


@pytest.mark.parametrize("intent", INTENTS)
def test_every_plan_is_a_valid_query(intent: str) -> None:
    rng = Random(11)
    for _ in range(300):
        plan = make_plan(intent, rng.choice(list(domains().values())), rng)
        assert valid_query(plan.query(), plan.used(), fewest_points=10)


# the flaws


def answers(name: str) -> dict[str, dict[str, Any]]:
    return {answer["id"]: answer for answer in read("answers.jsonl") if answer["file"] == name}


@pytest.mark.parametrize("name", ["train.jsonl", "train.demo.jsonl"])
def test_answers_hold_every_flaw(name: str) -> None:
    flawed = answers(name)
    for row in read(name):
        if row["id"] in flawed:
            assert query(row) == flawed[row["id"]]["has"]
            assert valid_query(flawed[row["id"]]["right"], columns(row))
        assert set(row) == {"id", "cluster", "tags", "conversations"}
        assert set(row["tags"]) == {"domain", "complexity"}


def test_sound_rows_say_what_they_ask() -> None:
    """A row without a planted flaw is the same in both files, and has no left-in join column."""
    flawed = answers("train.demo.jsonl")
    pairs = zip(read("train.jsonl"), read("train.demo.jsonl"), strict=True)
    for plain, demo in pairs:
        if plain["id"] not in flawed:
            assert plain == demo
            assert "join_column" not in plain["conversations"][2]["value"]


def test_realistic_flaws() -> None:
    flawed = answers("train.jsonl")
    assert 0.03 <= len(flawed) / len(read("train.jsonl")) <= 0.04
    kinds = Counter(answer["flaw"] for answer in flawed.values())
    assert set(kinds) == {"copied-value", "join-column"}
    assert abs(kinds["copied-value"] - kinds["join-column"]) <= 1
    for answer in flawed.values():
        assert bool(equivalent(answer["has"], answer["right"])) == (answer["flaw"] == "join-column")
    siblings = {
        json.dumps(entry.get("value")) for row in read("train.jsonl") for entry in query(row).get("filters", ())
    }
    copied = [answer["has"]["filters"][0] for answer in flawed.values() if answer["flaw"] == "copied-value"]
    assert all(json.dumps(entry["value"]) in siblings for entry in copied)


def test_the_systematic_flaw_is_in_half_of_two_intents() -> None:
    lost = {name for name, answer in answers("train.demo.jsonl").items() if answer["flaw"] == "lost-negation"}
    drawn = make_split(load_domains(), TRAIN_ROWS, EVAL_ROWS, Random(SEED)).train
    intents = {f"hc-{number:04}": item.intent for number, item in enumerate(drawn, start=1)}
    for intent in SYSTEMATIC_INTENTS:
        members = {name for name, own in intents.items() if own == intent}
        assert len(members & lost) == len(members) // 2
        assert len(members) >= 40
        assert sum(row["tags"]["intent"] == intent for row in read("eval.jsonl")) >= 25
    assert all(intents[name] in SYSTEMATIC_INTENTS for name in lost)
    for name in lost:
        answer = answers("train.demo.jsonl")[name]
        assert not equivalent(answer["has"], answer["right"])


@pytest.mark.parametrize("file", ["train.jsonl", "train.demo.jsonl"])
def test_nothing_in_a_row_but_its_reply_tells_of_a_flaw(file: str) -> None:
    for row in read(file):
        assert row["cluster"] == skeleton(query(row))
        assert set(row["tags"]) == {"domain", "complexity"}


# the documentation


def test_the_readme_has_the_data_set_s_figures() -> None:
    text = (DATA.parent / "README.md").read_text(encoding="utf-8")
    train, evaluation = read("train.jsonl"), read("eval.jsonl")
    trained = {skeleton(query(row)) for row in train}
    evaluated = [row["cluster"] for row in evaluation]
    unseen = (
        f"{len(set(evaluated) - trained)} are never trained ({sum(name not in trained for name in evaluated)} rows)"
    )
    counts = [Counter(row["tags"]["complexity"] for row in rows) for rows in (train, evaluation)]
    shares = [f"{count['simple']} / {count['medium']} / {count['complex']}" for count in counts]
    widths = [[len(columns(row)) for row in rows] for rows in (train, evaluation)]
    ranges = [f"{min(width)}, {sum(width) / len(width):.0f}, {max(width)}" for width in widths]
    flaws = Counter(answer["flaw"] for answer in read("answers.jsonl") if answer["file"] == "train.demo.jsonl")
    assert f"| rows | {len(train)} | {len(evaluation)} |" in text
    assert f"| skeletons (distinct structures) | {len(trained)} | {len(set(evaluated))}, of which {unseen} |" in text
    assert f"| simple / medium / complex | {shares[0]} | {shares[1]} |" in text
    assert f"| columns a row: least, mean, most | {ranges[0]} | {ranges[1]} |" in text
    assert f"| rows with a flaw | {len(answers('train.jsonl'))} | 0 |" in text
    for kind, count in flaws.items():
        assert re.search(rf"`{kind}`.*\| {count} \|", text), kind
