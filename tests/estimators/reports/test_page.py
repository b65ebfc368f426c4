"""Text is escaped where a page takes it, and nowhere else."""

import ast
import pathlib
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure

import lensing_tfds
from estimators.reports import page

NASTY = '<script>alert("x")</script> & \'y\' "\n'
PACKAGES = ("lensing_tfds", "estimators", "trainer", "tuning", "pipelines")
ROOT = pathlib.Path(__file__).parents[3]


class Tags(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    "part",
    [
        page.element("p", NASTY),
        page.element("p", page.element("b", NASTY), NASTY, kind=NASTY),
        page.join(NASTY, NASTY),
        page.head(NASTY, NASTY),
        page.section(NASTY, page.card(NASTY)),
        page.tiles([(NASTY, NASTY)]),
        page.grid((NASTY, NASTY), [(NASTY, NASTY)]),
        page.settings([(NASTY, {NASTY: NASTY})]),
        page.figure(NASTY, Figure(), NASTY),
        page.document(NASTY, NASTY),
    ],
)
def test_nothing_that_a_part_takes_becomes_markup(part):
    found = Tags(part)
    assert "script" not in found.tags
    assert NASTY in found.text


def test_a_page_says_which_release_wrote_it():
    assert f"Written by lensing-tfds {lensing_tfds.__version__}." in page.document("title")


def test_what_is_html_stays_so():
    assert page.element("td", page.element("b", "1 < 2")) == "<td><b>1 &lt; 2</b></td>"


def test_a_name_that_is_no_text_does_not_stop_a_page():
    assert r"run\udcff" in page.document("run\udcff", "run\udcff").encode().decode()


def test_a_grid_says_which_columns_are_words():
    html = page.grid(("", "ρ", "why"), [("a", "1", "b")], text=(0, 2))
    assert '<tr><th class="text"></th><th>ρ</th><th class="text">why</th></tr>' in html
    assert '<tr><th class="text">a</th><td>1</td><td class="text">b</td></tr>' in html


def test_what_is_empty_is_left_out():
    assert page.section("Failed", page.card(page.settings([]))) == ""


def test_no_other_module_makes_html_of_text():
    """What is not `Html` is escaped: so text becomes markup only where `Html` is made."""
    modules = [p for name in PACKAGES for p in (ROOT / name).rglob("*.py")]
    assert len(modules) > 100
    for path in modules:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            named = ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
            made = named == "Html" and node.args
            escaped = isinstance(node, ast.ImportFrom | ast.Import) and (
                getattr(node, "module", "") == "html" or node.names[0].name == "html"
            )
            assert path == pathlib.Path(page.__file__) or not (made or escaped), path
