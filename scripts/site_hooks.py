"""MkDocs hooks of `make docs`: pages from other files, and equations that need no script.

The README is the first page. Each notebook in docs/notebooks becomes a page, with the outputs that
it holds. Equations, `$...$` and `$$...$$` as on GitHub, become MathML, which browsers draw by
themselves.
"""

from __future__ import annotations

import base64
import html
import json
import pathlib
import re
from typing import Any

from latex2mathml import converter
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).parents[1]

_EQUATION = re.compile(
    r'<(span|div) class="arithmatex">\s*\\[(\[](.*?)\\[)\]]\s*</\1>', flags=re.DOTALL
)

_NOTEBOOK = r"(\]\((?:[\w.]+/)*\w+)\.ipynb"  # a link to one, but for those with a title


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that are no Markdown in docs/."""
    readme = (ROOT / "README.md").read_text("utf-8")
    readme = readme.replace("](docs/", "](").replace('src="docs/', 'src="')
    first = f"---\nhide: [navigation]\n---\n{readme}"
    files.append(File.generated(config, "index.md", content=first))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        stem = notebook.src_uri.removesuffix(".ipynb")
        page, pictures = page_of(json.loads(notebook.content_string), stem.rpartition("/")[2])
        files.append(File.generated(config, f"{stem}.md", content=page))
        for name, picture in pictures.items():
            folder = stem.rpartition("/")[0]
            files.append(File.generated(config, f"{folder}/{name}", content=picture))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Makes GitHub's Markdown the site's: details are rendered, and notebooks are pages."""
    pages = re.sub(rf"{_NOTEBOOK}\)", r"\1.md)", markdown)
    return pages.replace("<details>", '<details markdown="1">')


def on_page_content(content: str, **_: Any) -> str:
    """Replaces the equations of a page by MathML."""
    return _EQUATION.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    return converter.convert(html.unescape(found[2]).strip(), display=display)


def page_of(notebook: dict[str, Any], stem: str) -> tuple[str, dict[str, bytes]]:
    """Returns a notebook as Markdown, and its pictures by their names.

    Args:
      notebook: as nbformat 4 has it.
      stem: the name of its file, without the ending.
    """
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{stem}-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode(data["image/png"])
                parts.append(f"![What this cell shows]({name})")
            elif text := "".join(output.get("text", data.get("text/plain", ""))):
                parts.append(f"```text\n{text.rstrip()}\n```")
    download = f'[{stem}.ipynb]({stem}.ipynb "to download") is this page as a notebook.'
    return "\n\n".join([*parts, download]) + "\n", pictures
