import pytest
from hand_world import files, make_base


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope", "out"], "nope is neither an adapter's folder nor a run"),
        (["adapter", "rows.jsonl"], "rows.jsonl exists already, nothing was written"),
        (["adapter", "base"], "base exists already, nothing was written"),
        (["adapter", "out", "--dtype", "int4"], "dtype is 'int4'; allowed are bfloat16, float16, float32"),
        (["adapter", "out", "--base-model", "./nowhere"], "the base model is not there"),
        (["base", "out"], "does not say which base it belongs to"),
        (["base", "out", "--base-model", "./base"], "adapter_config.json is missing"),
        (["adapter", "out", "--base-model", "./other"], "it was made for another base"),
    ],
)
def test_bad_input_is_told_and_nothing_is_lost(world, harness, arguments, said):
    make_base(world.folder / "other")
    world.replace("other/model.safetensors", "q_proj", "p_proj")
    before = files(world.folder)
    done = harness("merge", *arguments)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert files(world.folder) == before
