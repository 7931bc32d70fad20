"""From a request to the model under test: when it is trained, when it is found, what is refused."""

import pytest
from fake_project import write_adapter

from harness.errors import ConfigError, EngineError, ModelError
from harness.job import RunRequest
from harness.job.serve import engine_for


def test_nothing_changed_finds_the_adapter(world):
    first, again = world.resolve(), world.resolve()
    assert (first.trained_now, again.trained_now) == (True, False)
    assert first.model_hash == again.model_hash
    assert world.trainings == 1


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("train.yml", "adapter: lora\n", "adapter: lora # what else\n\n"),
        ("train.yml", "output_dir: ./out", "output_dir: ./elsewhere"),
        ("train.yml", "learning_rate: 0.001", "learning_rate: 1e-3"),
        ("train.yml", "adapter: lora\n", "adapter: lora\ndecode: {max_tokens: 9}\n"),
    ],
)
def test_what_the_weights_do_not_depend_on_hits(world, file, old, new):
    world.resolve()
    world.replace(file, old, new)
    world.resolve()
    assert world.trainings == 1


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rows.jsonl", "three", "threE"),
        ("train.yml", "learning_rate: 0.001", "learning_rate: 0.002"),
        ("train.yml", "adapter: lora\n", "adapter: lora\nchat_template: chatml\n"),
        ("base/tokenizer_config.json", "}}</s>{%", "}} </s>{%"),
        ("base/model.safetensors", "q_proj", "p_proj"),
    ],
)
def test_one_changed_byte_trains_anew(world, file, old, new):
    world.resolve()
    world.replace(file, old, new)
    world.resolve()
    assert world.trainings == 2


def test_an_adapter_on_another_base_is_refused(world):
    world.replace("base/model.safetensors", "q_proj", "p_proj")
    with pytest.raises(ModelError, match="made for another base"):
        world.resolve(adapter=world.adapter, config=None)


def test_another_adapter_at_the_same_place_is_another_model(world):
    before = world.resolve(adapter=world.adapter, config=None)
    write_adapter(world.adapter, world.base, 0.25)
    assert world.resolve(adapter=world.adapter, config=None).model_hash != before.model_hash


def test_the_base_is_asked_with_the_template_of_the_config(world):
    world.replace("train.yml", "adapter: lora\n", "adapter: lora\nchat_template: chatml\n")
    assert "<|im_start|>" in world.resolve(base_only=True).template
    assert world.resolve(base_only=True, base_model=str(world.base), config=None).template is None


def test_an_adapter_that_names_no_base_asks_for_one(world):
    world.replace("adapter/adapter_config.json", f'"base_model_name_or_path": "{world.base}"', '"x": 1')
    with pytest.raises(ConfigError, match="no base model is named\nadd --base-model"):
        world.resolve(adapter=world.adapter, config=None)


def test_a_request_that_names_nothing_says_what_can_be_named(world):
    with pytest.raises(ConfigError, match="nothing says which model to test\ngive one of --train-config"):
        world.resolve(config=None)


def test_an_endpoint_without_a_model_says_how_to_name_one(world):
    request = RunRequest(world.home, world.reports, endpoint="http://127.0.0.1:1/v1")
    target = world.resolve(config=None, endpoint=request.endpoint)
    with pytest.raises(ConfigError, match="add --model NAME"):
        engine_for(request, target, world.folder, print)


def test_an_endpoint_with_a_password_in_its_url_is_refused(world):
    request = RunRequest(world.home, world.reports, endpoint="http://me:pass@127.0.0.1:1/v1", model="m")
    with pytest.raises(EngineError, match="OPENAI_API_KEY"):
        engine_for(request, world.resolve(config=None, endpoint=request.endpoint), world.folder, print)
