"""The parts of a self-contained HTML page: style, tiles, tables, and figures inside.

A page is built of these parts and of plain text. Text is escaped here, where a part takes it, and
nowhere else: no name of a folder, a dataset or a setting can become markup.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from estimators.reports import style
from lensing_tfds import __version__

CSS = """
:root { --ink: #1d2530; --soft: #5a6472; --line: #e1e5ea; --blue: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: var(--ink); overflow-wrap: anywhere;
       font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 36px 0 12px; }
h3 { font-size: 1.02rem; margin: 0 0 6px; }
p { margin: 0 0 10px; }
.lead { color: var(--soft); margin-bottom: 18px; max-width: 54rem; }
.tiles, .pair, .stack { display: grid; gap: 14px; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.pair { grid-template-columns: repeat(auto-fit, minmax(min(430px, 100%), 1fr)); }
.stack { grid-template-columns: minmax(0, 1fr); margin-top: 14px; }
.tile, figure, .card { background: #fff; border: 1px solid var(--line); border-radius: 8px;
                       padding: 14px 18px; margin: 0; min-width: 0; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.25; color: var(--blue);
          font-variant-numeric: tabular-nums; }
.tile small { font-size: 1rem; font-weight: 500; color: var(--soft); }
.tile span { color: var(--soft); font-size: 0.9rem; }
.scroll { overflow-x: auto; }
figure img { display: block; width: 100%; height: auto; }
.wide img { min-width: 680px; }
figcaption, .card p { color: var(--soft); font-size: 0.9rem; margin-top: 8px; }
.tiles + figure, .tiles + .lead, .pair + .card, .pair + figure { margin-top: 14px; }
.note { border-left: 4px solid #e69f00; background: #fffaf0; padding: 10px 16px; margin: 16px 0 0;
        font-size: 0.93rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
td, th { text-align: right; padding: 4px 22px 4px 0; border-bottom: 1px solid var(--line);
         vertical-align: top; white-space: nowrap; font-variant-numeric: tabular-nums;
         overflow-wrap: break-word; }
.text { text-align: left; white-space: normal; }
.long { min-width: 11rem; }
.longer { min-width: 22rem; }
.settings td { min-width: 0; overflow-wrap: anywhere; }
.settings th { color: var(--soft); font-weight: normal; }
.failed { color: #b3261e; font-weight: 600; }
pre { background: #1d2530; color: #eef2f6; border-radius: 8px; padding: 14px 18px; margin: 0;
      font-size: 0.85rem; white-space: pre-wrap; }
footer { color: var(--soft); font-size: 0.85rem; margin-top: 28px; }
@media (max-width: 520px) { main { padding: 18px 10px 40px; } td, th { padding-right: 12px; }
                            .tile, figure, .card { padding: 12px; } }
@media print { body { background: #fff; font-size: 12px; }
               figure, .tile, .card { break-inside: avoid; }
               pre { background: #fff; color: #000; border: 1px solid var(--line); } }
"""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *content: object, kind: str = "") -> Html:
    """Returns an element of HTML around content, which is escaped unless it is `Html`."""
    attribute = f' class="{escape(kind)}"' if kind else ""
    return Html(f"<{tag}{attribute}>{''.join(map(_html, content))}</{tag}>")


def section(title: str, *content: object) -> Html:
    """Returns content under a heading; nothing if there is no content."""
    return join(element("h2", title), *content) if any(content) else Html()


def card(*content: object) -> Html:
    """Returns content in a box; nothing if there is no content."""
    return element("div", *content, kind="card") if any(content) else Html()


def beside(*content: object) -> Html:
    """Returns figures and cards in two columns, where there is room for them."""
    return element("div", *content, kind="pair")


def below(*content: object) -> Html:
    """Returns figures and cards below one another."""
    return element("div", *content, kind="stack")


def head(title: str, lead: str) -> Html:
    """Returns a page's heading and its first lines."""
    return join(element("h1", title), element("p", lead, kind="lead"))


def join(*content: object) -> Html:
    """Returns content one after the other, escaped unless it is `Html`."""
    return Html("".join(map(_html, content)))


def generator_mark(name: str) -> Html:
    """Returns the mark in a page's head by which what wrote it knows it again."""
    return Html(f'<meta name="generator" content="{escape(name)}">')


def document(title: str, *content: object, generator: str = "lensing-tfds") -> str:
    """Returns a whole page, whose text any encoding of Unicode can hold.

    Args:
      title: for the browser's tab.
      content: escaped unless it is `Html`.
      generator: what wrote it.
    """
    mark = generator_mark(generator)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{mark}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_html(title)}</title>
<style>{CSS}</style>
</head>
<body>
<main>
{chr(10).join(map(_html, content))}
{element("footer", f"Written by lensing-tfds {__version__}.")}
</main>
</body>
</html>
"""
    # A file's name need not be text.
    return page.encode("utf-8", "backslashreplace").decode()


def tiles(values: Iterable[tuple[object, str]]) -> Html:
    """Returns numbers that stand out, each with its caption."""
    return element(
        "div",
        *(
            element("div", element("b", value), element("span", caption), kind="tile")
            for value, caption in values
        ),
        kind="tiles",
    )


def figure(
    title: str, drawn: Figure | bytes, caption: str, head: bool = True, wide: bool = False
) -> Html:
    """Returns a figure inside the page, with its caption.

    Args:
      title: its name, for who cannot see it too.
      drawn: the figure, or a PNG file of it.
      caption: how to read it.
      head: print the title above it.
      wide: across the page; on a small screen it is moved sideways rather than made tiny.
    """
    if isinstance(drawn, bytes):
        source = f"data:image/png;base64,{base64.b64encode(drawn).decode()}"
    else:
        content = base64.b64encode(style.save(drawn, "svg")).decode()
        source = f"data:image/svg+xml;base64,{content}"
    image = Html(f'<img src="{source}" alt="{escape(title)}">')
    return element(
        "figure",
        element("h3", title) if head else "",
        element("div", image, kind="scroll wide" if wide else "scroll"),
        element("figcaption", caption),
    )


def grid(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    text: Collection[int] = (0,),
    kind: str = "",
) -> Html:
    """Returns a table, moved sideways where the screen is too narrow for it.

    Args:
      heads: of the columns; none for a table without them.
      rows: their cells; the first heads the row.
      text: the columns of words, flush left; numbers are flush right.
      kind: a class for the table.
    """

    def row(cells: Sequence[object], first: str, other: str) -> Html:
        return element(
            "tr",
            *(
                element(first if n == 0 else other, cell, kind=_kind(cell) if n in text else "")
                for n, cell in enumerate(cells)
            ),
        )

    lines = [row(heads, "th", "th")] if heads else []
    lines += [row(cells, "th", "td") for cells in rows]
    return element("div", element("table", *lines, kind=kind), kind="scroll")


def settings(rows: Sequence[tuple[str, object]]) -> Html:
    """Returns names and values; nothing if there are none."""
    return grid((), rows, text=(0, 1), kind="settings") if rows else Html()


def figures(value: float, digits: int = 3) -> str:
    """A number of a few digits; a dash where it is not known."""
    return f"{value:.{digits}g}" if math.isfinite(value) else "–"


def text(value: object) -> str:
    """A setting as a person writes it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {text(item)}" for name, item in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _kind(cell: object) -> str:
    """Classes of a cell of words: a sentence must not become a column of letters."""
    length = len(_html(cell))
    return "text longer" if length > 48 else "text long" if length > 24 else "text"


def _html(content: object) -> str:
    return content if isinstance(content, Html) else escape(text(content))
