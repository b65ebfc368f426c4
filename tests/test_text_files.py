"""Files of text are UTF-8 whatever the locale: a κ is no reason to fail, or to differ."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("lensing_tfds", "estimators", "trainer", "tuning", "pipelines", "benchmarks")
MODES = {"r", "w", "a", "x", "r+", "w+", "a+", "x+"}


def without_encoding(source: str) -> list[int]:
    """The lines that open, read or write text and leave its encoding to the locale."""
    return [
        call.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and _is_of_text(call) and not _has_encoding(call)
    ]


def _is_of_text(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", None))
    if name in ("read_text", "write_text"):
        return True
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    modes = {value.value for value in arguments if isinstance(value, ast.Constant)} & MODES
    return name == "open" and bool(
        modes or (isinstance(call.func, ast.Name) and len(call.args) < 2)
    )


def _has_encoding(call: ast.Call) -> bool:
    said = any(keyword.arg == "encoding" for keyword in call.keywords)
    position = {"read_text": 0, "write_text": 1}.get(getattr(call.func, "attr", ""), 9)
    return said or len(call.args) > position


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_of_text_has_the_encoding_of_the_locale(package):
    found = {
        str(file.relative_to(ROOT)): lines
        for file in sorted((ROOT / package).rglob("*.py"))
        if (lines := without_encoding(file.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.write_text(text)", True),
        ("path.read_text(errors='replace')", True),
        ("path.open('w', newline='')", True),
        ("open(path)", True),
        ("open(path, mode='a')", True),
        ("path.write_text(text, encoding='utf-8')", False),
        ("path.read_text('utf-8')", False),
        ("open(path, 'rb')", False),
        ("Dataset.open(config, folder)", False),
    ],
)
def test_the_search_finds_what_it_must_and_nothing_else(source, found):
    assert bool(without_encoding(source)) == found
