"""A tag becomes a release only if it is the package's version, tested, and described."""

import pathlib
import shutil
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[1]
NOTES = "- New: this.\n  And that.\n"
CHANGELOG = f"# Changelog\n\n## 1.2.0 (soon)\n\n- later\n\n## 1.1.0 (2030-01-02)\n\n{NOTES}"
CHANGELOG += "\n## 1.1 (2029-01-02)\n\n- earlier\n"


@pytest.fixture(name="notes")
def notes_fixture(tmp_path):
    """Runs the script that prints a release's notes, beside a package and a change log."""

    def notes(tag, version, changelog=CHANGELOG):
        (tmp_path / "scripts").mkdir()
        (tmp_path / "lensing_tfds").mkdir()
        script = shutil.copy(ROOT / "scripts" / "release_notes.sh", tmp_path / "scripts")
        (tmp_path / "CHANGELOG.md").write_text(changelog)
        module = tmp_path / "lensing_tfds" / "release.py"
        module.write_text(f'"""A package."""\n\n__version__ = "{version}"\n')
        return subprocess.run(["bash", script, tag], capture_output=True, text=True, check=False)

    return notes


def test_the_notes_are_the_versions_section(notes):
    ended = notes("v1.1.0", "1.1.0")
    assert (ended.returncode, ended.stdout.strip()) == (0, NOTES.strip())


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "message"),
    [
        ("v1.2.0", "1.1.0", CHANGELOG, "the tag must be v1.1.0"),
        ("1.1.0", "1.1.0", CHANGELOG, "the tag must be v1.1.0"),
        ("v1.1.5", "1.1.5", CHANGELOG, "no section '## 1.1.5'"),
        ("v1x1.0", "1x1.0", CHANGELOG, "no section '## 1x1.0'"),
        ("v2.0", "2.0", "## 2.0 (unreleased)\n\n- a\n", "put the day of the release there"),
    ],
)
def test_a_release_that_is_not_ready_is_one_line(notes, tag, version, changelog, message):
    ended = notes(tag, version, changelog)
    assert ended.returncode == 1 and ended.stdout == ""
    assert message in ended.stderr and ended.stderr.count("\n") == 1


def workflow(name):
    # YAML takes the key `on` for a truth.
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())


def test_the_workflow_runs_what_continuous_integration_runs():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line.startswith("make ")]
    steps = [step.get("run") for step in workflow("ci")["jobs"]["test"]["steps"]]
    assert commands and commands == [command for command in steps if command]


def test_what_is_released_was_tested():
    jobs = workflow("release")["jobs"]
    assert jobs["release"]["needs"] == "test" and jobs["test"]["needs"] == "notes"
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in workflow("ci")[True]
    commands = [
        step["run"] for name in jobs for step in jobs[name].get("steps", ()) if "run" in step
    ]
    scripts = {word for command in commands for word in command.split() if "scripts/" in word}
    assert scripts and all((ROOT / script).stat().st_mode & 0o100 for script in scripts)


def test_the_citation_has_what_its_format_requires():
    """It names no version and no day, which would have to be kept in step with the package's."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert not {"version", "date-released"} & citation.keys()
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
