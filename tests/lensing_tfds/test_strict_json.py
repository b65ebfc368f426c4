"""JSON from people: what would be read silently as something else is refused, in one line."""

import json

import hypothesis
import hypothesis.strategies as st
import pytest

from lensing_tfds import LensingError, strict_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@hypothesis.settings(max_examples=30)
@hypothesis.given(st.dictionaries(st.text(), VALUES))
def test_an_object_that_json_wrote_is_read_back(values):
    assert strict_json.parse(json.dumps(values), "x") == values
    assert strict_json.parse(json.dumps(values, ensure_ascii=False).encode(), "x") == values


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"npix": 16, "npix": 20}', "the key 'npix' is there twice: 16 and 20"),
        ('{"a": [{"b": 1, "c": 2, "b": 1}]}', "the key 'b' is there twice"),
        ('{"lx": NaN}', "NaN is not a number in JSON"),
        ('{"lx": [-Infinity]}', "-Infinity is not a number"),
        ('{"lx": 1e999}', "the number 1e999 is too large"),
        ('{"seed": ' + "9" * 5000 + "}", "Exceeds the limit"),
        ("[1, 2]", "not a JSON object"),
        ("3", "not a JSON object"),
        ("null", "not a JSON object"),
        ("", "not valid JSON"),
        ('{"a": 1', "not valid JSON"),
        ('{"a": 1} {"a": 2}', "not valid JSON"),
        ("[" * 200_000, "nested too deeply"),
        (b'{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_what_is_no_plain_object_is_one_line_that_names_the_source(text, reason):
    with pytest.raises(LensingError, match="^somewhere: .*" + reason.replace("{", r"\{")) as caught:
        strict_json.parse(text, "somewhere")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_files_are_named(tmp_path):
    path = tmp_path / "values.json"
    with pytest.raises(LensingError, match=f"cannot read {path}"):
        strict_json.read(str(path))
    path.write_text('{"a": 1}')
    assert strict_json.read(str(path)) == {"a": 1}
    path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(LensingError, match=f"^{path}: the key 'a' is there twice"):
        strict_json.read(str(path))
