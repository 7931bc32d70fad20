def ini(project, text):
    project.pytester.makeini(f"[pytest]\n{text}")


def test_the_ini_file_names_the_model(project):
    project.config()
    ini(project, "ft_train_config = train.yml\n")
    project.run("--base-only", base_only=False).assert_outcomes(passed=3)


def test_paths_are_relative_to_the_ini_file(project):
    project.write("conf/train.yml", project.config().read_text().replace("train.jsonl", "../train.jsonl"))
    (project.path / "train.yml").unlink()
    ini(project, "ft_train_config = conf/train.yml\n")
    (project.path / "sub").mkdir()
    project.pytester.chdir()
    import os

    os.chdir(project.path / "sub")
    project.run("--base-only", "..", base_only=False).assert_outcomes(passed=3)


def test_the_command_line_wins(project):
    project.write("g.jsonl", '{"id": "c0", "text": "yes"}\n')
    ini(project, "ft_endpoint = http://localhost:1\nft_model = m\nft_repeats = 2\n")
    result = project.run("--generations", "g.jsonl", "--ft-repeats", "1", "-k", "c0", base_only=False)
    result.assert_outcomes(passed=1, deselected=2)


def test_tests_without_cases_are_not_kept_by_a_bad_config(project):
    ini(project, "ft_train_config = gone.yml\n")
    project.suite("def test_plain(): pass\n")
    project.run(base_only=False).assert_outcomes(passed=1)


def test_a_bad_config_of_the_ini_file_is_told_when_cases_are_met(project):
    ini(project, "ft_train_config = gone.yml\n")
    result = project.run(base_only=False)
    assert result.ret in (2, 4)
    assert "gone.yml" in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str()


def test_bad_ini_values_are_all_listed(project):
    ini(project, "ft_decode = loud\nft_repeats = many\nft_cache_endpoint = perhaps\n")
    result = project.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            "*ft_decode is 'loud' in *; allowed are greedy, grammar, both",
            "*ft_repeats is 'many' in *; it is a whole number",
            "*ft_cache_endpoint is 'perhaps' in *; allowed are true and false",
        ],
        consecutive=False,
    )
