"""Bad input to the main command: one readable error that says what and where, before anything is trained."""

import json
import shutil
import subprocess
import sys

import pytest

ROW = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "yes"}]}
UTF16 = json.dumps(ROW).encode("utf-16")
LATIN1 = json.dumps({"messages": [{"role": "user", "content": "café"}]}, ensure_ascii=False).encode("latin-1")

FULL_DISK = """
import resource

_train = train

def train(job, train_rows, val_rows, out, on_event):
    figures = _train(job, train_rows, val_rows, out, on_event)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))
    (Path(out) / "more.bin").write_bytes(bytes(2**21))
    return figures
"""


def base_with(project, template):
    """Return a copy of the tiny base with another chat template; None: with none."""
    base = project.path / "base"
    shutil.copytree(project.base, base)
    tokens = json.loads((base / "tokenizer_config.json").read_text())
    tokens.pop("chat_template")
    (base / "tokenizer_config.json").write_text(json.dumps(tokens | ({"chat_template": template} if template else {})))
    return base


def usage_error(project, *args):
    """Run the main job, require a usage error without a traceback and without training, and return its text."""
    result = project.run(*args, base_only=False)
    said = result.stderr.str()
    assert result.ret == 4, said + result.stdout.str()
    assert said.startswith("ERROR: ")
    assert "Traceback" not in said + result.stdout.str()
    assert project.log == []
    return said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the split 'train' holds no rows (is the file empty?)"),
        (b"\n \n", "the split 'train' holds no rows"),
        (UTF16, "train.jsonl:1: the file is UTF-16; save it as UTF-8"),
        (json.dumps(ROW).encode() + b"\n" + LATIN1, "train.jsonl:2: not UTF-8: byte 0xe9 at offset"),
        (json.dumps(ROW).encode() + b"\n\n{'a': 1}\n", "train.jsonl:3: malformed JSON: Expecting property name"),
        (b"[" * 100_000, "train.jsonl:1: JSON that cannot be read"),
        (b'{"foo": "bar"}\n', "train.jsonl:1: the field 'messages' is missing"),
        (json.dumps({"messages": ROW["messages"][:1]}).encode(), "train.jsonl:1: the row has no assistant turn"),
    ],
    ids=["empty", "blank", "utf16", "latin1", "malformed", "nested", "format", "no assistant"],
)
def test_rows_that_cannot_be_used_are_placed(project, content, said):
    config = project.config()
    (project.path / "train.jsonl").write_bytes(content)
    assert said in usage_error(project, f"--train-config={config}")


def test_a_missing_data_file_is_named(project):
    config = project.config()
    (project.path / "train.jsonl").unlink()
    assert "train.jsonl' does not exist" in usage_error(project, f"--train-config={config}")


def test_an_unknown_file_kind_is_named(project):
    config = project.config(datasets=[{"path": "train.xlsx", "type": "chat_template"}])
    (project.path / "train.xlsx").write_bytes(b"PK")
    assert "files of kind '.xlsx' are not known" in usage_error(project, f"--train-config={config}")


def test_an_unknown_row_format_names_the_nearest(project):
    config = project.config(datasets=[{"path": "train.jsonl", "type": "chat_templat"}])
    assert "did you mean chat_template?" in usage_error(project, f"--train-config={config}")


def test_a_line_of_200_mb_is_one_problem(project):
    config = project.config()
    with (project.path / "train.jsonl").open("ab") as file:
        for _ in range(200):
            file.write(b"x" * 2**20)
    said = usage_error(project, f"--train-config={config}")
    (project.path / "train.jsonl").unlink()
    assert "train.jsonl:3: the line is 209,715,200 bytes long, more than 67,108,864 (64 MiB)" in said
    assert len(said) < 2000


def test_rows_that_are_all_longer_than_sequence_len_name_the_longest(project):
    config = project.config(sequence_len=8)
    said = usage_error(project, f"--train-config={config}")
    assert "all 2 are longer than sequence_len: 8 (the longest has 26 tokens)" in said


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "has no chat template of its own"),
        ("{{ raise_exception('no system turn') }}", "no system turn"),
        ("{% if %}", "does not parse:\n  line 1"),
    ],
    ids=["missing", "raises", "does not parse"],
)
def test_a_chat_template_that_cannot_be_used(project, template, said):
    base = base_with(project, template)
    assert said in usage_error(project, f"--train-config={project.config(base_model=str(base))}")


@pytest.mark.parametrize("count", [1, 50])
def test_a_template_that_cannot_be_used_is_one_problem_however_many_cases_there_are(project, count):
    project.cases(count)
    project.fake(wants_ids=True)
    base = base_with(project, "{{ raise_exception('no system turn') }}")
    result = project.run("--base-only", f"--base-model={base}", base_only=False)
    assert result.ret == 4
    assert result.stderr.str().count("no system turn") == 1


def test_every_case_that_the_template_refuses_is_named(project):
    project.cases(5)
    project.fake(wants_ids=True)
    own = json.loads((project.base / "tokenizer_config.json").read_text())["chat_template"]
    refusal = "{% if messages[0]['content'][-1] in '13' %}{{ raise_exception('an odd question') }}{% endif %}"
    result = project.run("--base-only", f"--base-model={base_with(project, refusal + own)}", base_only=False)
    assert result.ret == 4
    said = result.stderr.str()
    assert "2 cases cannot be rendered by the chat template" in said
    assert [line.split(":")[0].strip() for line in said.splitlines() if "row c" in line] == ["row c1", "row c3"]
    assert project.did("generate") == 0


def test_a_base_without_a_tokenizer(project):
    base = project.path / "base"
    shutil.copytree(project.base, base)
    (base / "tokenizer.json").unlink()
    said = usage_error(project, f"--train-config={project.config(base_model=str(base))}")
    assert "no tokenizer: tokenizer.json is missing" in said


def test_an_adapter_for_another_base(project):
    adapter = project.trained()
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["qkv"]}))
    tensors = (adapter / "adapter_model.safetensors").read_bytes()
    (adapter / "adapter_model.safetensors").write_bytes(tensors.replace(b"q_proj", b"x_proj"))
    said = usage_error(project, f"--adapter={adapter}", f"--base-model={project.base}")
    assert "it was made for another base" in said
    assert "x_proj: not in the base" in said


def test_a_repeated_key_is_named_with_both_lines(project):
    config = project.config()
    config.write_text(f"adapter: qlora\nbase_model: {project.base}\nadapter: lora\n")
    said = usage_error(project, f"--train-config={config}")
    assert "train.yml:3: the key 'adapter' stands there more than once: lines 1 and 3" in said


def test_keys_that_contradict_each_other(project):
    config = project.config(load_in_4bit=True, load_in_8bit=True)
    said = usage_error(project, f"--train-config={config}")
    assert "load_in_8bit cannot be set together with load_in_4bit" in said


def test_modules_trained_in_full_are_refused_before_training_where_vllm_would_serve_lora(project):
    values = {"lora_modules_to_save": ["lm_head"], "serve": {"adapter": "lora", "engine": "vllm"}}
    said = usage_error(project, f"--train-config={project.config(**values)}")
    assert "vLLM serves no adapter with modules that are trained in full (lora_modules_to_save: lm_head)" in said
    for way_out in ({"adapter": "merged"}, {"adapter": "lora", "engine": "transformers"}):
        config = project.config(**values | {"serve": way_out})
        project.run(f"--train-config={config}", base_only=False).assert_outcomes(passed=3)


def test_no_space_while_the_adapter_is_saved_is_said_and_the_next_run_is_whole(project):
    """A limit on file sizes stands in for a full disk: the same call fails half way."""
    config = project.config()
    conftest = project.path / "conftest.py"
    whole = conftest.read_text()
    conftest.write_text(whole + FULL_DISK)
    result = project.run_apart(f"--train-config={config}", base_only=False)
    said = result.stdout.str() + result.stderr.str()
    assert result.ret != 0
    assert "no space to save lora adapter on" in said
    assert "Traceback" not in said
    conftest.write_text(whole)
    project.run(f"--train-config={config}", base_only=False).assert_outcomes(passed=3)


def test_a_corrupted_adapter_in_the_cache_is_said_and_trained_anew(project):
    config = project.config()
    project.run(f"--train-config={config}", base_only=False)
    (weights,) = (project.path / ".harness" / "adapters").glob("*/adapter_model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"\1")
    result = project.run(f"--train-config={config}", base_only=False)
    result.assert_outcomes(passed=3)
    assert "damaged" in result.stdout.str()
    assert project.did("train") == 2
    assert weights.read_bytes() == content


def test_two_runs_at_once_on_one_cache_train_once(project):
    argv = [sys.executable, "-m", "pytest", f"--train-config={project.config()}"]
    both = [
        subprocess.Popen(argv, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    for process in both:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert "3 passed" in output
    assert project.did("train") == 1
    assert len(project.runs) == 2
