import pytest
from hand_world import files


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope.yml"], "nope.yml: there is no such file"),
        (["train.yml", "--set", "lora_rr=3"], "unknown key 'lora_rr'"),
        (["train.yml", "--set", "lora_r"], "lora_r"),
        (["train.yml", "--data", "nope.jsonl"], "nope.jsonl"),
        (["train.yml", "--set", "base_model=./nowhere"], "the base model is not there"),
        (["train.yml", "--set", "base_model=./adapter"], "this is an adapter, not a base model"),
        (["train.yml", "--overfit", "4"], "--overfit 4: the data holds only 3 rows"),
        (["train.yml", "--debug", "--overfit", "1"], "--debug, --overfit N and --force do not go together"),
        (["train.yml", "--debug", "--force"], "--debug, --overfit N and --force do not go together"),
    ],
)
@pytest.mark.parametrize("extra", [[], ["--debug"]])
def test_bad_input_is_told_before_anything_is_trained(world, harness, arguments, said, extra):
    before = files(world.folder)
    done = harness("train", *arguments, *(extra if "--debug" not in arguments and "--overfit" not in arguments else []))
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert files(world.folder) == before


def test_rows_to_learn_by_heart_are_counted_from_one(world, harness):
    assert "--overfit" in (done := harness("train", "train.yml", "--overfit", "0")).told
    assert done.code == 2


def test_a_key_that_is_not_used_here_is_noted(world, harness):
    done = harness("train", "train.yml", "--overfit", "9", "--set", "hub_model_id=me/mine")
    assert "note: hub_model_id: accepted, not used here, because" in done.err
