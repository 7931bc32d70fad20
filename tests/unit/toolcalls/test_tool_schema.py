import json

import jsonschema
import pytest
from llguidance import LLMatcher

from harness.checks.tool_schema import call_schema, find_function, function_of, parameter_schema
from harness.errors import DataError

TOOL = {
    "name": "f",
    "parameters": {
        "type": "dict",
        "properties": {
            "a": {"type": "float", "description": "a number", "default": 1.0, "minimum": 0},
            "b": {"type": "tuple", "items": {"type": "int"}, "optional": True},
            "c": {"type": "any"},
            "d": {"type": ["str", "null"]},
            "e": {"anyOf": [{"type": "dict", "properties": {"type": {"type": "bool"}}}, {"type": "double"}]},
        },
        "required": ["a", "not_there"],
    },
}


def test_type_names_become_those_of_json_schema_at_every_depth():
    schema = parameter_schema(TOOL)
    jsonschema.Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert schema["type"] == "object"
    assert properties["a"] == {"type": "number", "description": "a number", "default": 1.0, "minimum": 0}
    assert properties["b"] == {"type": "array", "items": {"type": "integer"}}
    assert properties["c"] == {}
    assert properties["d"] == {"type": ["string", "null"]}
    assert properties["e"]["anyOf"][0]["properties"] == {"type": {"type": "boolean"}}
    assert properties["e"]["anyOf"][1] == {"type": "number"}


def test_the_description_given_is_not_changed():
    before = json.dumps(TOOL)
    parameter_schema(TOOL)
    call_schema([TOOL])
    assert json.dumps(TOOL) == before


def test_all_unknown_types_are_named_at_once():
    bad = {"name": "g", "parameters": {"properties": {"x": {"type": "blob"}, "y": {"items": {"type": 7}}}}}
    with pytest.raises(DataError) as caught:
        parameter_schema(bad)
    assert len(caught.value.problems) == 2
    assert "g.parameters.x has the unknown type 'blob'" in str(caught.value)
    assert "g.parameters.y.items has the unknown type 7" in str(caught.value)


def test_parameters_that_are_no_object_are_an_error():
    with pytest.raises(DataError, match="of type 'array'"):
        parameter_schema({"name": "g", "parameters": {"type": "list"}})


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}])
def test_function_without_parameters(parameters):
    assert parameter_schema({"name": "g", "parameters": parameters}) == {"type": "object", "properties": {}}
    assert parameter_schema({"name": "g"}) == {"type": "object", "properties": {}}


def test_wrapped_and_bare_descriptions():
    assert function_of({"type": "function", "function": TOOL}) == TOOL
    assert find_function([{"type": "function", "function": TOOL}], "f") == TOOL
    assert find_function([TOOL], "g") is None


def test_grammar_has_structural_keywords_only_and_is_closed():
    schema = call_schema([TOOL])
    arguments = schema["properties"]["arguments"]
    assert schema["properties"]["name"] == {"const": "f"}
    assert schema["additionalProperties"] is False
    assert arguments["additionalProperties"] is False
    assert arguments["properties"]["a"] == {"type": "number"}
    assert arguments["required"] == ["a"]


def test_several_functions_are_alternatives():
    schema = call_schema([TOOL, {"name": "g"}])
    jsonschema.validate({"name": "g", "arguments": {}}, schema)
    jsonschema.validate({"name": "f", "arguments": {"a": 1}}, schema)
    for wrong in ({"name": "f", "arguments": {}}, {"name": "h", "arguments": {}}, {"name": "f", "arguments": {"z": 1}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_the_backend_takes_it_without_a_warning():
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(call_schema([TOOL, {"name": "g"}])))
    assert LLMatcher.validate_grammar_with_warnings(grammar) == (False, [])
