"""Docstrings open with a verb or a noun, never with a question."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("lensing_tfds", "estimators", "trainer", "tuning", "pipelines", "benchmarks")
_QUESTION = re.compile(r'"""((?:What|How|Whether|Which|Where|When|Why|Who)\b.*)')


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_opens_with_a_question(package):
    found = {
        f"{file.relative_to(ROOT)}: {line}"
        for file in sorted((ROOT / package).rglob("*.py"))
        for line in _QUESTION.findall(file.read_text("utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [('"""What it is."""', True), ('"""Says whether it is."""', False), ("x = 'What?'", False)],
)
def test_a_question_is_found(source, found):
    assert bool(_QUESTION.search(source)) == found
