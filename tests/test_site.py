"""Pages of the site that are made from other files, and its equations."""

import base64
import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "scripts" / "site_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("markup", "display"),
    [("<span {}>\\({}\\)</span>", "inline"), ("<div {}>\\[{}\\]</div>", "block")],
)
def test_an_equation_becomes_mathml(hooks, markup, display):
    equation = markup.format('class="arithmatex"', r"\kappa = -\frac{1}{2} \nabla^2 \phi &lt; 1")
    page = hooks.on_page_content(f"<p>Before {equation} after</p>")
    assert page.startswith("<p>Before <math") and page.endswith("</math> after</p>")
    assert f'display="{display}"' in page and "<mfrac>" in page and "&#x0003C;" in page
    assert "\\" not in page and "arithmatex" not in page


def test_a_notebook_becomes_a_page_with_its_pictures(hooks):
    code = {"cell_type": "code", "source": ["print(1)\n", "plot()"]}
    stream = {"output_type": "stream", "name": "stdout", "text": ["1\n"]}
    png = base64.b64encode(b"picture").decode()
    shown = {"output_type": "display_data", "data": {"image/png": png, "text/plain": "<Figure>"}}
    value = {"output_type": "execute_result", "data": {"text/plain": "42"}}
    cells = [
        {"cell_type": "markdown", "source": "# Maps"},
        code | {"outputs": [stream, shown]},
        code | {"outputs": [value]},
    ]
    page, pictures = hooks.page_of({"cells": cells}, "maps")
    assert page.startswith("# Maps\n\n```python\nprint(1)\nplot()\n```\n\n```text\n1\n```\n\n")
    assert "](maps-1.png)" in page and "<Figure>" not in page and "```text\n42\n```" in page
    assert pictures == {"maps-1.png": b"picture"}
    assert page.endswith('[maps.ipynb](maps.ipynb "to download") is this page as a notebook.\n')


def test_what_stands_in_details_is_rendered(hooks):
    assert hooks.on_page_markdown("<details>\n") == '<details markdown="1">\n'


def test_a_link_to_a_notebook_leads_to_its_page(hooks):
    page = '[a](notebooks/own_maps.ipynb) [b](../x.ipynb) [c](maps.ipynb "to download")'
    wanted = '[a](notebooks/own_maps.md) [b](../x.md) [c](maps.ipynb "to download")'
    assert hooks.on_page_markdown(page) == wanted
