import json
from dataclasses import replace

import pytest

from harness.checks.toolcalls import calls_tool, read_call
from harness.errors import DataError
from harness.types import Decoding, Generation, ToolCall

AREA = {
    "name": "geometry.area",
    "description": "Area of a triangle",
    "parameters": {
        "type": "dict",
        "properties": {
            "base": {"type": "integer"},
            "height": {"type": "float"},
            "unit": {"type": "string", "enum": ["cm", "m"]},
            "points": {"type": "array", "items": {"type": "float"}},
            "options": {
                "type": "dict",
                "properties": {"round": {"type": "boolean"}, "digits": {"type": "integer"}},
                "required": ["round"],
            },
        },
        "required": ["base", "height"],
    },
}
OTHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS = [AREA, OTHER]


def generation(text="", calls=()):
    return Generation(
        key="k",
        case_id="c",
        model_hash="m",
        text=text,
        token_ids=(),
        prompt_token_ids=(),
        finish_reason="stop",
        decoding=Decoding(),
        tool_calls=tuple(calls),
    )


def call(**arguments):
    return ToolCall("geometry.area", arguments)


def reason(check):
    assert not check
    return check.reason


GOOD = '{"name": "geometry.area", "arguments": {"base": 10, "height": 5}}'


class TestReading:
    def test_text_call_is_read(self):
        assert read_call(GOOD) == call(base=10, height=5)
        assert read_call(f"\n {GOOD}\n") == call(base=10, height=5)
        assert read_call(generation(GOOD)) == call(base=10, height=5)

    def test_structured_call_of_an_endpoint_is_read(self):
        assert read_call(generation("", [call(base=1)])) == call(base=1)

    def test_two_calls_are_not_one(self):
        text = reason(calls_tool(generation("", [call(), ToolCall("weather", {})])))
        assert text == "2 calls (geometry.area, weather), expected one"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "the reply is empty"),
            ("   \n", "the reply is empty"),
            ("The area is 25.", "not JSON"),
            (f"Sure! {GOOD}", "not JSON"),
            (f"{GOOD} and more", "not JSON (Extra data"),
            (f"```json\n{GOOD}\n```", "not JSON"),
            (GOOD[:-1], "not JSON"),
            (f"[{GOOD}]", "a JSON list, expected an object"),
            ("25", "a JSON number"),
            ("true", "a JSON boolean"),
            ("null", "a JSON null"),
            ('"x"', "a JSON string"),
            ("{}", "'name' is missing, 'arguments' is missing"),
            ('{"name": "f"}', "'arguments' is missing"),
            ('{"name": "f", "parameters": {}}', "'arguments' is missing, 'parameters' does not belong there"),
            ('{"name": 1, "arguments": {}}', "'name' is 1, expected a string"),
            ('{"name": "f", "arguments": [1]}', "'arguments' is [1], expected an object"),
            ('{"name": "f", "arguments": "{}"}', "expected an object"),
            ('{"name": "f", "arguments": {"a": 1, "a": 2}}', "'a' is there twice"),
            ('{"name": "f", "arguments": {"a": NaN}}', "NaN is not a JSON value"),
            ('{"name": "f", "arguments": {"a": -Infinity}}', "Infinity is not a JSON value"),
            ("[" * 100_000, "nested too deeply"),
            ('{"name": "f", "arguments": {"a": ' + "9" * 5000 + "}}", "not JSON"),
        ],
    )
    def test_anything_else_is_a_reason_and_never_an_exception(self, text, expected):
        assert expected in reason(calls_tool(text))

    def test_reply_that_was_cut_off_says_so(self):
        cut = replace(generation(GOOD[:-8]), finish_reason="length")
        assert reason(calls_tool(cut)).startswith("cut off at the token limit, ends with ")
        assert calls_tool(replace(cut, text=GOOD))

    def test_long_text_is_cut(self):
        assert len(reason(calls_tool("x" * 100_000))) < 300

    def test_a_call_alone_needs_no_tools(self):
        assert calls_tool(GOOD)
        assert calls_tool('{"name": "anything", "arguments": {}}')


class TestName:
    def test_right_and_wrong(self):
        assert calls_tool(GOOD, name="geometry.area")
        assert reason(calls_tool(GOOD, name="geometry.perimeter")) == "calls geometry.area, expected geometry.perimeter"
        assert not calls_tool(GOOD, name="Geometry.Area")

    def test_an_api_that_cannot_send_dots_is_not_held_against_the_model(self):
        underscored = ToolCall("geometry_area", {"base": 10, "height": 5})
        assert calls_tool(generation("", [underscored]), name="geometry.area", tools=TOOLS)
        assert not calls_tool(GOOD.replace("y.a", "y_a"), name="geometry.area")

    def test_function_that_is_not_on_offer(self):
        assert reason(calls_tool('{"name": "geometry.aera", "arguments": {}}', tools=TOOLS)) == (
            "calls geometry.aera, which is not on offer (nearest: geometry.area)"
        )


class TestSchema:
    def test_fits(self):
        assert calls_tool(call(base=10, height=5), tools=TOOLS)
        assert calls_tool(call(base=10, height=5.5, unit="cm", points=[1, 2.5], options={"round": True}), tools=TOOLS)
        assert calls_tool(ToolCall("weather", {}), tools=TOOLS)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"base": "10"}, 'base is "10", expected integer'),
            ({"base": 10.0}, "base is 10.0, expected integer"),
            ({"base": True}, "base is true, expected integer"),
            ({"base": None}, "base is null, expected integer"),
            ({"height": "5"}, 'height is "5", expected number'),
            ({"height": False}, "height is false, expected number"),
            ({"unit": 3}, 'unit is 3, expected "cm" or "m"'),
            ({"unit": "km"}, 'unit is "km", expected "cm" or "m"'),
            ({"points": 3}, "points is 3, expected array"),
            ({"points": [1, "2"]}, 'points[1] is "2", expected number'),
            ({"options": {"digits": 1}}, "options: 'round' is a required property"),
            ({"options": {"round": 1}}, "options['round'] is 1, expected boolean"),
            ({"heigth": 5}, "heigth is not an argument of this function (nearest: height)"),
        ],
    )
    def test_each_problem_is_one_short_sentence(self, change, expected):
        assert reason(calls_tool(call(**{"base": 10, "height": 5, **change}), tools=TOOLS)) == expected

    def test_all_problems_at_once(self):
        assert reason(calls_tool(call(base="1", hight=2), tools=TOOLS)).splitlines() == [
            "3 problems:",
            "height is missing",
            "hight is not an argument of this function (nearest: height)",
            'base is "1", expected integer',
        ]

    def test_open_parameters_take_any_argument(self):
        tool = {"name": "f", "parameters": {"type": "object", "additionalProperties": True}}
        assert calls_tool('{"name": "f", "arguments": {"x": 1}}', tools=[tool])
        tool["parameters"]["additionalProperties"] = False
        assert not calls_tool('{"name": "f", "arguments": {"x": 1}}', tools=[tool])

    def test_keywords_of_json_schema_count(self):
        tool = {"name": "f", "parameters": {"properties": {"n": {"type": "integer", "minimum": 0}}}}
        assert calls_tool('{"name": "f", "arguments": {"n": 0}}', tools=[tool])
        assert "-1 is less than the minimum" in reason(
            calls_tool('{"name": "f", "arguments": {"n": -1}}', tools=[{"type": "function", "function": tool}])
        )

    def test_tool_without_a_name_or_with_an_unknown_type_is_an_error_of_the_suite(self):
        with pytest.raises(DataError, match="no function name"):
            calls_tool(GOOD, tools=[{"parameters": {}}])
        bad = {"name": "geometry.area", "parameters": {"properties": {"base": {"type": "quaternion"}}}}
        with pytest.raises(DataError, match=r"geometry\.area\.parameters\.base has the unknown type 'quaternion'"):
            calls_tool(GOOD, tools=[bad])

    def test_references_inside_the_schema_are_followed_and_others_are_an_error(self):
        parameters = {"properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "int"}}}
        tool = {"name": "f", "parameters": parameters}
        assert calls_tool('{"name": "f", "arguments": {"n": 1}}', tools=[tool])
        assert (
            reason(calls_tool('{"name": "f", "arguments": {"n": "1"}}', tools=[tool])) == 'n is "1", expected integer'
        )
        parameters["$defs"] = {}
        with pytest.raises(DataError, match="not in it"):
            calls_tool('{"name": "f", "arguments": {"n": 1}}', tools=[tool])

    def test_schema_that_is_none_is_an_error_of_the_suite(self):
        tool = {"name": "f", "parameters": {"properties": {"n": {"type": "string", "pattern": 7}}}}
        with pytest.raises(DataError, match="not usable"):
            calls_tool('{"name": "f", "arguments": {}}', tools=[tool])

    def test_schema_of_the_whole_object_counts(self):
        tool = {"name": "f", "parameters": {"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 1}}
        assert "the arguments: " in reason(calls_tool('{"name": "f", "arguments": {}}', tools=[tool]))
        assert calls_tool('{"name": "f", "arguments": {"a": 1}}', tools=[tool], answers={"a": [1]})


ANSWERS = {"base": [10, 12], "height": [5.0], "unit": ["cm", ""]}


class TestAnswers:
    def test_any_alternative_is_accepted(self):
        assert calls_tool(call(base=10, height=5.0), answers=ANSWERS)
        assert calls_tool(call(base=12, height=5, unit="cm"), answers=ANSWERS)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"base": 11}, "base is 11, expected 10 or 12"),
            ({"height": True}, "height is true, expected 5.0"),
            ({"unit": "m"}, 'unit is "m", expected "cm" or to be left out'),
            ({"units": "cm"}, 'units is "cm", expected to be left out (nearest: unit)'),
        ],
    )
    def test_difference_is_one_sentence(self, change, expected):
        assert reason(calls_tool(call(**{"base": 10, "height": 5, **change}), answers=ANSWERS)) == expected

    def test_argument_that_has_no_other_answer_than_being_left_out(self):
        assert reason(calls_tool(call(unit="m"), answers={"unit": [""]})) == 'unit is "m", expected to be left out'

    def test_missing_argument_says_what_was_expected(self):
        assert reason(calls_tool(call(base=10), answers=ANSWERS)) == "height is missing, expected 5.0"

    @pytest.mark.parametrize("text", ["New York, NY", "new york ny", "New-York.NY", "NEW_YORK NY", "New York/NY"])
    def test_text_is_compared_without_case_spaces_and_punctuation(self, text):
        assert calls_tool(call(city=text), answers={"city": ["New York, NY"]})

    def test_quotes_of_both_kinds_are_one(self):
        assert calls_tool(call(title="it's"), answers={"title": ['it"s']})

    def test_text_is_not_a_number_and_true_is_not_one(self):
        assert not calls_tool(call(n="1"), answers={"n": [1]})
        assert not calls_tool(call(n=True), answers={"n": [1]})
        assert not calls_tool(call(n=1), answers={"n": [True]})
        assert not calls_tool(call(n=None), answers={"n": [0, ""]})

    def test_left_out_may_also_be_said_by_an_empty_value(self):
        answers = {"unit": ["", "cm"], "points": ["", [1]]}
        assert calls_tool(call(unit="", points=[]), answers=answers)
        assert not calls_tool(call(points=[]), answers={"points": [[1]]})

    def test_lists_are_compared_in_order_item_by_item(self):
        answers = {"points": [[1, 2, 3], [4]]}
        assert calls_tool(call(points=[1.0, 2, 3]), answers=answers)
        assert reason(calls_tool(call(points=[1, 5, 3]), answers=answers)) == "points[1] is 5, expected 2"
        assert "(2 items), expected" in reason(calls_tool(call(points=[1, 2]), answers=answers))
        assert calls_tool(call(names=["ANN", "bob "]), answers={"names": [["Ann", "Bob"]]})

    def test_the_nearest_alternative_is_the_one_that_is_explained(self):
        answers = {"points": [[7, 8, 9], [1, 2, 3]]}
        assert reason(calls_tool(call(points=[1, 2, 4]), answers=answers)) == "points[2] is 4, expected 3"

    def test_inside_an_object_each_key_has_alternatives(self):
        answers = {"budget": [{"min": [3, 4], "max": [9, ""]}]}
        assert calls_tool(call(budget={"min": 4}), answers=answers)
        assert calls_tool(call(budget={"min": 3, "max": 9}), answers=answers)
        assert reason(calls_tool(call(budget={"min": 5}), answers=answers)) == "budget.min is 5, expected 3 or 4"
        assert reason(calls_tool(call(budget={}), answers=answers)) == "budget.min is missing, expected 3 or 4"
        assert "budget.med is 1, expected to be left out" in reason(
            calls_tool(call(budget={"min": 3, "med": 1}), answers=answers)
        )

    def test_list_of_objects(self):
        answers = {"conditions": [[{"field": ["age"], "value": ["25", 25]}, {"field": ["job"]}]]}
        assert calls_tool(call(conditions=[{"field": "Age", "value": 25}, {"field": "job"}]), answers=answers)
        assert reason(
            calls_tool(call(conditions=[{"field": "age", "value": 1}, {"field": "job"}]), answers=answers)
        ) == ('conditions[0].value is 1, expected "25" or 25')

    def test_one_plain_value_stands_for_itself(self):
        assert calls_tool(call(base=10), answers={"base": 10})
        assert reason(calls_tool(call(base=11), answers={"base": 10})) == "base is 11, expected 10"

    def test_many_alternatives_are_cut(self):
        assert reason(calls_tool(call(year=1), answers={"year": list(range(1861, 1866))})) == (
            "year is 1, expected 1861 or 1862 or 1863 or 1864 or … (5 in all)"
        )

    def test_no_arguments_at_all(self):
        assert calls_tool(call(), answers={})
        assert not calls_tool(call(x=1), answers={})


class TestSchemaAndAnswers:
    def test_one_argument_is_reported_once_with_what_was_expected(self):
        check = calls_tool(call(base="11", height=5), tools=TOOLS, answers={"base": [10], "height": [5]})
        assert reason(check) == 'base is "11", expected 10'

    def test_acceptable_value_of_another_type_than_the_schema_says(self):
        assert calls_tool(call(base=10, height=5, unit=True), tools=TOOLS, answers=ANSWERS | {"unit": [True]})

    def test_equal_value_of_the_wrong_type_is_wrong(self):
        assert reason(calls_tool(call(base=10.0, height=5), tools=TOOLS, answers=ANSWERS)) == (
            "base is 10.0, expected integer"
        )

    def test_required_argument_is_required_even_if_the_answers_let_it_out(self):
        answers = ANSWERS | {"height": [5.0, ""]}
        assert reason(calls_tool(call(base=10), tools=TOOLS, answers=answers)) == "height is missing"

    def test_the_reply_is_json_round_trip_safe(self):
        text = json.dumps({"name": "geometry.area", "arguments": {"base": 10, "height": 5}})
        assert calls_tool(text, name="geometry.area", tools=TOOLS, answers=ANSWERS)
