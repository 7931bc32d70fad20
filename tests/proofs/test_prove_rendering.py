"""Over every row of both suites: what is asked is what was trained on, and it is what transformers would ask."""

import pytest
from transformers import AutoTokenizer

from harness.config import load_config
from harness.data import Renderer, load_cases, load_samples
from harness.data.chat_text import chat_message
from harness.data.masks import IGNORED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def renderer(base):
    return Renderer.from_folder(base.path)


@pytest.fixture(scope="module")
def reference(base):
    return AutoTokenizer.from_pretrained(base.path)


@pytest.fixture(scope="module")
def samples(request):
    config = load_config(request.config.rootpath / "configs" / "lora.yml")
    return load_samples(config.datasets).require().samples


def asked(reference, messages):
    """Return the prompt ids that transformers makes."""
    return reference.apply_chat_template(
        [chat_message(m) for m in messages], add_generation_prompt=True, tokenize=True, return_dict=False
    )


def test_a_training_row_begins_with_its_prompt_and_ends_in_a_trained_stop(renderer, reference, samples):
    assert len(samples) > 1000
    for sample in samples:
        row = renderer.encode(sample)
        prompt = renderer.prompt_ids(sample.messages[:-1])
        assert list(prompt) == asked(reference, sample.messages[:-1]), sample.id
        assert row.input_ids[: len(prompt)] == prompt, sample.id
        assert all(label == IGNORED for label in row.labels[: len(prompt)]), sample.id
        trained = [token for token, label in zip(row.input_ids, row.labels, strict=True) if label != IGNORED]
        assert trained[-1] in renderer.stop_ids, sample.id


def test_a_case_is_asked_as_transformers_would(renderer, reference, request):
    cases = load_cases(request.config.rootpath / "suites" / "honeycomb" / "data" / "eval.jsonl", suite="honeycomb")
    assert len(cases) >= 400
    prompts = renderer.prompts([(case.messages, ()) for case in cases])
    for case, prompt in zip(cases, prompts, strict=True):
        assert list(prompt) == asked(reference, case.messages), case.id
