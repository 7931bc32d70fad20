"""A name on the command line: an adapter's folder, or a run."""

import pytest

from harness.errors import ModelError, StoreError
from harness.job.byhand import find_target
from harness.job.lookup import look_up


def quiet(event):
    pass


@pytest.fixture
def run(world):
    """Leave a finished run, and return its id."""

    def leave(**request):
        session = world.session(**request)
        session.prepare()
        session.finish("passed")
        session.close()
        return session.run_id

    return leave


def find(world, name, base_model=None):
    return find_target(str(name), base_model, world.home, world.reports, quiet)


def test_a_folder_is_an_adapter_on_the_base_that_it_names(world):
    found = find(world, world.adapter)
    assert found.adapter.path == world.adapter
    assert found.base.path == world.base
    assert found.label == f"adapter {found.adapter.content_hash[:8]}"


def test_a_run_is_known_by_its_id_and_by_how_that_begins(world, run):
    name = run(config=world.request().config, base_only=False)
    assert find(world, name) == find(world, name[:8])
    assert find(world, name).adapter.path.is_relative_to(world.home.adapters)


def test_a_run_over_the_base_alone_is_the_base(world, run):
    found = find(world, run())
    assert (found.adapter, found.base.path, found.label) == (None, world.base, "base")


@pytest.mark.parametrize("name", ["nothing", "./nothing", "some/where", ""])
def test_an_unknown_name_is_told_before_there_are_runs(world, name, monkeypatch):
    monkeypatch.chdir(world.folder)
    with pytest.raises(ModelError):
        find(world, name)
    assert not world.home.runs_db.exists()


def test_an_unknown_name_is_told_with_the_latest_runs(world, run):
    name = run()
    with pytest.raises(ModelError, match=f"nope is neither an adapter's folder nor .* run\n.*The latest are {name}"):
        find(world, "nope")


def test_an_ambiguous_beginning_is_told_with_the_candidates(world, run):
    names = [run(), run()]
    with pytest.raises(ModelError, match="more than one run begins with '20'") as told:
        find(world, "20")
    assert all(name in str(told.value) for name in names)


def test_a_run_whose_report_lies_elsewhere_says_how_to_name_the_place(world, run):
    name = run()
    world.reports.rename(world.folder / "moved")
    with pytest.raises(ModelError, match=f"run {name} has no report in .*\nsay where it lies with --reports"):
        find(world, name)
    assert look_up(name, world.home, world.folder / "moved").base == str(world.base)


def test_a_damaged_manifest_is_told(world, run):
    name = run()
    world.write(f"reports/{name}/manifest.json", "{")
    with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
        find(world, name)


def test_a_run_over_an_endpoint_has_no_model_here(world, run):
    name = run(base_only=False, base_model=None, endpoint="http://127.0.0.1:1/v1", model="m")
    with pytest.raises(ModelError, match=r"tested m at http://127\.0\.0\.1:1/v1: there is no model of it here"):
        find(world, name)


def test_a_run_whose_adapter_was_cleared_says_how_to_get_it_back(world, run):
    name = run(config=world.request().config, base_only=False)
    find(world, name).adapter.path.rename(world.folder / "away")
    with pytest.raises(ModelError, match=f"the adapter of run {name} is gone"):
        find(world, name)


def test_a_base_that_is_named_goes_before_the_adapters_own(world):
    with pytest.raises(ModelError, match="the base model is not there"):
        find(world, world.adapter, base_model="./no/such/base")


def test_an_adapter_that_names_no_base_asks_for_one(world):
    world.replace("adapter/adapter_config.json", f'"base_model_name_or_path": "{world.base}"', '"x": 1')
    with pytest.raises(ModelError, match="does not say which base it belongs to\nname it: --base-model"):
        find(world, world.adapter)
    assert find(world, world.adapter, base_model=str(world.base)).adapter is not None
