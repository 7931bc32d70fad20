"""Each format, from a row to turns; and everything that is wrong with a row, at once."""

import json

import pytest

from harness.data import DataSet, Fields, load_samples
from harness.data.formats import detect_format, find_format
from harness.data.problems import RowError
from harness.types import Message, ToolCall

SYSTEM, USER, ASSISTANT = (
    lambda content, role=role: Message(role, content) for role in ("system", "user", "assistant")
)
WEATHER = {"name": "get_weather", "description": "", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture
def load(tmp_path):
    def loaded(*rows, type=None, **options):
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return load_samples([DataSet(str(file), type, **options)])

    return loaded


@pytest.fixture
def turns(load):
    def read(row, **options):
        return load(row, **options).require().samples[0].messages

    return read


@pytest.fixture
def reasons(load):
    def read(row, **options):
        return "\n".join(problem.message for problem in load(row, **options).problems)

    return read


class TestShareGpt:
    def test_roles_and_leading_newlines(self, turns):
        row = {
            "conversations": [
                {"from": "system", "value": "Be good."},
                {"from": "human", "value": "\n\nNLQ: x"},
                {"from": "gpt", "value": '\n{"a": 1}'},
            ]
        }
        assert turns(row) == (SYSTEM("Be good."), USER("\n\nNLQ: x"), ASSISTANT('\n{"a": 1}'))

    @pytest.mark.parametrize(
        ("name", "role"),
        [("human", "user"), ("user", "user"), ("gpt", "assistant"), ("assistant", "assistant"), ("model", "assistant")],
    )
    def test_names_of_roles(self, turns, name, role):
        rest = [{"from": "gpt", "value": "r"}]
        assert turns({"conversations": [{"from": name, "value": "x"}, *rest]})[0].role == role

    def test_a_system_field_comes_first_unless_there_is_a_system_turn(self, turns):
        talk = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}]
        assert turns({"system": "S", "conversations": talk})[0] == SYSTEM("S")
        own = [{"from": "system", "value": "own"}, *talk]
        assert turns({"system": "S", "conversations": own})[0] == SYSTEM("own")

    def test_function_call_turns_are_the_assistants_calls(self, turns):
        row = {
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": '{"name": "get_weather", "arguments": {"city": "Rome"}}'},
                {"from": "observation", "value": "sunny"},
                {"from": "gpt", "value": "It is sunny."},
            ],
            "tools": json.dumps([WEATHER]),
        }
        read = turns(row)
        assert read[1] == Message("assistant", "", (ToolCall("get_weather", {"city": "Rome"}),))
        assert read[2] == Message("tool", "sunny")

    def test_all_that_is_wrong_is_said_at_once(self, reasons):
        row = {
            "conversations": [
                "text",
                {"from": "humann", "value": "q"},
                {"value": "no role"},
                {"from": "human", "value": 7},
                {"from": "gpt"},
                {"from": "gpt", "value": "fine"},
            ]
        }
        said = reasons(row)
        for part in (
            "turn 1 must be an object",
            "turn 2: the role 'humann' is not known (did you mean 'human'?)",
            "turn 3 has no 'from'; its fields are value",
            "turn 4 (human): 'value' must be a text, it is 7 (int)",
            "turn 5 (gpt) has no 'value'",
        ):
            assert part in said
        assert "roles: {user: [humann]}" in said

    @pytest.mark.parametrize("value", [None, "text", {"from": "human"}, 3])
    def test_conversations_of_a_wrong_type(self, reasons, value):
        assert "'conversations'" in reasons({"conversations": value}, type="sharegpt")


class TestChat:
    def test_tool_calls_in_openais_form(self, load):
        call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
        row = {
            "messages": [
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "name": "get_weather", "content": "sunny"},
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "It is "}, {"type": "text", "text": "sunny."}],
                },
            ],
            "tools": [{"type": "function", "function": WEATHER}],
        }
        (sample,) = load(row).require().samples
        assert sample.messages[1] == Message("assistant", "", (ToolCall("get_weather", {"city": "Rome"}, "c1"),))
        assert sample.messages[2] == Message("tool", "sunny", name="get_weather", tool_call_id="c1")
        assert sample.messages[3].content == "It is sunny."
        assert sample.tools == ({"type": "function", "function": WEATHER},)

    @pytest.mark.parametrize("tools", [[WEATHER], json.dumps([WEATHER]), [{"type": "function", "function": WEATHER}]])
    def test_tools_as_a_list_or_as_text(self, load, tools):
        row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}], "tools": tools}
        assert load(row).require().samples[0].tools == ({"type": "function", "function": WEATHER},)

    def test_arguments_that_are_no_object(self, reasons):
        calls = [{"name": "f", "arguments": "[1]"}, {"arguments": {}}]
        row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": calls}]}
        said = reasons(row)
        assert "tool call 1 (f): 'arguments' must be an object" in said
        assert "tool call 2 must be an object with 'name' and 'arguments'" in said

    def test_pictures_are_refused(self, reasons):
        row = {
            "messages": [{"role": "user", "content": [{"type": "image_url"}]}, {"role": "assistant", "content": "r"}]
        }
        assert "parts of type image_url" in reasons(row)

    def test_half_a_surrogate_pair_is_refused(self, tmp_path):
        file = tmp_path / "a.jsonl"
        file.write_text(r'{"messages": [{"role": "user", "content": "\ud83d"}, {"role": "assistant", "content": "r"}]}')
        (problem,) = load_samples([DataSet(str(file))]).problems
        assert "surrogate" in problem.message

    @pytest.mark.parametrize(
        ("key", "value", "train"), [("train", False, False), ("weight", 0, False), ("weight", 1, True)]
    )
    def test_a_turns_own_word_on_training(self, turns, key, value, train):
        row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r", key: value}]}
        assert turns(row)[1].train is train

    def test_reasoning_is_put_before_the_reply(self, turns):
        row = {
            "messages": [
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "r", "reasoning_content": "t"},
            ]
        }
        assert turns(row)[1].content == "<think>\nt\n</think>\n\nr"

    def test_field_and_role_mappings(self, turns):
        fields = Fields(messages="talk", role="who", content="what", train="learn", roles={"assistant": ("oracle",)})
        row = {"talk": [{"who": "human", "what": "q"}, {"who": "oracle", "what": "r", "learn": True}]}
        assert turns(row, type="chat_template", fields=fields) == (USER("q"), Message("assistant", "r", train=True))

    def test_tool_calls_needs_tools(self, reasons):
        row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]}
        assert "offers no tools" in reasons(row, type="tool_calls")

    def test_csv_cells_hold_json(self, tmp_path):
        import csv

        file = tmp_path / "a.csv"
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["messages", "id"])
            writer.writerow(
                [json.dumps([{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]), "7"]
            )
        (sample,) = load_samples([DataSet(str(file))]).require().samples
        assert (sample.id, sample.messages) == ("7", (USER("q"), ASSISTANT("r")))


class TestAlpaca:
    def test_with_and_without_input(self, turns):
        assert turns({"instruction": "Add.", "input": "", "output": "3"}) == (USER("Add."), ASSISTANT("3"))
        assert turns({"instruction": "Add.", "input": "1 2", "output": "3"})[0] == USER("Add.\n\n### Input:\n1 2")

    def test_system(self, turns):
        assert turns({"system": "S", "instruction": "Add.", "output": "3"})[0] == SYSTEM("S")

    def test_natural_template(self, load):
        assert load({"instruction": "Add.", "output": "3"}).natural_templates == {"alpaca"}

    def test_wrong_types(self, reasons):
        said = reasons({"instruction": None, "output": 3})
        assert "'instruction' must be a text" in said
        assert "'output' must be a text" in said


class TestCompletion:
    def test_texts(self, load):
        loaded = load({"prompt": "2+2=", "completion": " 4"}).require()
        assert loaded.samples[0].messages == (USER("2+2="), ASSISTANT(" 4"))
        assert loaded.natural_templates == {"completion"}

    def test_lists_of_turns_train_the_completion_only(self, load):
        row = {
            "prompt": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
            "completion": [{"role": "assistant", "content": "d"}],
        }
        loaded = load(row).require()
        assert [m.train for m in loaded.samples[0].messages] == [None, False, None, None]
        assert loaded.natural_templates == {None}

    def test_plain_text(self, turns):
        assert turns({"text": "Once upon"}) == (ASSISTANT("Once upon"),)
        assert turns({"body": "Once upon"}, type="completion", fields=Fields(text="body")) == (ASSISTANT("Once upon"),)

    def test_segments(self, turns, reasons):
        pieces = [("<s>a", False), ("b", False), ("c", True), ("d</s>", True)]
        row = {"segments": [{"text": text, "label": label} for text, label in pieces]}
        assert turns(row) == (USER("<s>ab"), ASSISTANT("cd</s>"))
        assert "segment 1 must be" in reasons(
            {"segments": [{"text": "x", "label": "yes"}, {"text": "y", "label": True}]}
        )


class TestOwnFormat:
    def _file(self, folder, body):
        file = folder / "mine.py"
        file.write_text("from harness.data import Skip\nfrom harness.types import Message, Sample\n" + body)
        return f"{file}:convert"

    def test_a_function_makes_samples_several_or_none(self, tmp_path, load):
        body = (
            "def convert(row, source):\n"
            "    if row['n'] == 0:\n        return Skip('it is zero')\n"
            "    one = Sample('', (Message('user', str(row['n'])), Message('assistant', str(source.line))))\n"
            "    return [one, one] if row['n'] == 2 else one\n"
        )
        loaded = load({"n": 0}, {"n": 1}, {"n": 2}, {"n": 0}, type=self._file(tmp_path, body)).require()
        assert [sample.messages[1].content for sample in loaded.samples] == ["2", "3", "3"]
        assert loaded.samples[2].id == f"{loaded.samples[1].id}#2"
        assert loaded.samples[0].source.line == 2
        assert (loaded.counts["rows"], loaded.counts["skipped"], loaded.counts["skipped: it is zero"]) == (4, 2, 2)

    def test_errors_inside_are_placed_and_all_reported(self, tmp_path, load):
        body = "def convert(row, source):\n    return row['missing'] if row['n'] else 'text'\n"
        problems = load({"n": 1}, {"n": 0}, type=self._file(tmp_path, body)).problems
        assert [problem.line for problem in problems] == [1, 2]
        assert "raised KeyError: 'missing'" in problems[0].message
        assert "must return a Sample, a list of them or Skip(reason), not str" in problems[1].message

    def test_a_sample_without_a_reply_is_refused_like_any_other(self, tmp_path, load):
        body = "def convert(row, source):\n    return Sample('', (Message('user', 'q'),))\n"
        assert "no assistant turn" in load({"n": 1}, type=self._file(tmp_path, body)).problems[0].message

    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            ("no_such_module:f", "cannot be imported"),
            ("/nowhere/x.py:f", "does not exist"),
            ("json:lods", "has no function 'lods' (did you mean 'loads'?)"),
        ],
    )
    def test_what_cannot_be_found(self, load, reference, said):
        assert said in load({"n": 1}, type=reference).problems[0].message

    def test_a_file_that_does_not_import(self, tmp_path, load):
        (tmp_path / "bad.py").write_text("1/0")
        assert "ZeroDivisionError" in load({"n": 1}, type=f"{tmp_path}/bad.py:f").problems[0].message


def test_unknown_names_show_the_nearest():
    with pytest.raises(RowError, match=r"did you mean 'sharegpt'\?\); known are sharegpt, chat_template"):
        find_format("shargpt")


def test_the_format_is_known_by_its_fields():
    names = {
        "conversations": "sharegpt",
        "messages": "chat_template",
        "instruction": "alpaca",
        "prompt": "prompt_completion",
    }
    for field, name in names.items():
        assert detect_format({field: None}).name == name
    with pytest.raises(RowError, match=r"fields \('question'\) are those of no known format"):
        detect_format({"question": 1})
