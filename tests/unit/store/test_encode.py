import json
from pathlib import Path
from types import MappingProxyType

import pytest

from harness.store.encode import compact_json
from harness.types import Case, Decoding, Failure, Generation, Grammar, Message, ToolCall, Verdict, to_json

GENERATION = Generation(
    "k", "c", "m", "ä\n\ud800", (1, 2), (), "stop", Decoding(stop=("a",)), tool_calls=(ToolCall("f", {"x": [1]}),)
)
CASE = Case("c", (Message("user", "hi"),), ({"name": "f"},), expected=[1.5, None], grammar=Grammar("regex", "a"))
VERDICT = Verdict("r", "n", "t", "c", "s", "fail", marks=("level1",), tags={"a": "b"})


@pytest.mark.parametrize(
    "value",
    [
        GENERATION,
        CASE,
        VERDICT,
        Failure(VERDICT, CASE, GENERATION),
        {"a": Path("b"), "c": MappingProxyType({"d": (1,)})},
        [],
        None,
    ],
)
def test_it_is_the_data_that_to_json_gives(value):
    text = compact_json(value)
    assert json.loads(text) == json.loads(json.dumps(to_json(value)))
    assert "\n" not in text
    text.encode("ascii")


def test_what_was_computed_and_cached_on_a_noun_is_left_out():
    generation = Generation("k", "c", "m", "[1]", (), (), "stop", Decoding())
    assert generation.json == [1]
    assert Generation.from_json(json.loads(compact_json(generation))) == generation
    assert "json" not in json.loads(compact_json(generation))


def test_what_has_no_json_form_is_named():
    with pytest.raises(TypeError, match="a set has no JSON form"):
        compact_json({"a": {1}})
