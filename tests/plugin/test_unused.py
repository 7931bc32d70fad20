"""The plugin is installed in an environment whose project does not use it."""

import sys

LIGHT = """
import sys
def test_light():
    heavy = {"torch", "transformers", "openai", "pydantic", "rich", "yaml", "tokenizers", "pyarrow", "harness"}
    assert not heavy & {name.partition(".")[0] for name in sys.modules}
    ours = {name for name in sys.modules if name.startswith("pytest_ftplugin.")}
    assert ours == {"pytest_ftplugin." + name for name in ("fixtures", "hookspecs", "options", "trial")}
"""


def test_nothing_of_weight_is_imported(pytester):
    pytester.makepyfile(LIGHT)
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_fixtures_of_the_projects_own_win(pytester):
    pytester.makepyfile(
        """
        import pytest
        @pytest.fixture
        def engine(): return "sqlalchemy"
        @pytest.fixture
        def case(): return 1
        @pytest.fixture
        def adapter(): return 2
        @pytest.fixture
        def run(): return 3
        def test_it(engine, case, adapter, run): assert (engine, case, adapter, run) == ("sqlalchemy", 1, 2, 3)
        @pytest.mark.parametrize("case", [1, 2])
        def test_own_parameters(case): assert case in (1, 2)
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=3)


def test_unused_under_xdist(pytester):
    pytester.makepyfile("def test_a(): pass\ndef test_b(): pass\n")
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=2)
    assert not (pytester.path / "reports").exists()
    assert not (pytester.path / ".harness").exists()


def test_switched_off(pytester):
    pytester.makepyfile("def test_a(): pass\n")
    pytester.runpytest_inprocess("-p", "no:ftplugin").assert_outcomes(passed=1)


def test_importing_the_plugin_leaves_heavy_packages_out(pytester):
    heavy = "{'torch', 'transformers', 'openai', 'pydantic', 'rich'}"
    code = f"import sys, pytest_ftplugin.session; print(sorted({heavy} & set(sys.modules)))"
    assert pytester.run(sys.executable, "-c", code).outlines == ["[]"]
