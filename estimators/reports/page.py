"""The parts of a self-contained HTML page: style, tiles, tables, and figures inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

from matplotlib.figure import Figure

CSS = """
:root { --ink: #1d2530; --soft: #5a6472; --line: #e1e5ea; --blue: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: var(--ink);
       font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 36px 0 12px; }
h3 { font-size: 1.02rem; margin: 0 0 6px; }
p { margin: 0 0 10px; }
.lead { color: var(--soft); margin-bottom: 18px; max-width: 54rem; }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }
.tile, figure, .card { background: #fff; border: 1px solid var(--line); border-radius: 8px;
                       padding: 14px 18px; margin: 0; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.25; color: var(--blue);
          font-variant-numeric: tabular-nums; }
.tile b small { font-size: 1rem; font-weight: 500; color: var(--soft); }
.tile span { color: var(--soft); font-size: 0.9rem; }
figure img { display: block; width: 100%; height: auto; }
figcaption, .card p { color: var(--soft); font-size: 0.9rem; margin-top: 8px; }
.tiles + figure, .pair + .card { margin-top: 14px; }
.tiles + figure h3 { display: none; }
.pair { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(430px, 1fr)); }
.note { border-left: 4px solid #e69f00; background: #fffaf0; padding: 10px 16px; margin: 16px 0 0;
        font-size: 0.93rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
td, th { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line);
         vertical-align: top; }
td:first-child { color: var(--soft); }
td:last-child { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.stack { display: grid; gap: 14px; margin-top: 14px; }
.numbers td, .numbers th { text-align: right; color: var(--ink); padding-right: 22px;
                           font-variant-numeric: tabular-nums; }
.estimators th:first-child, .estimators td:last-child, .estimators th:last-child
  { text-align: left; }
.verdict { white-space: nowrap; }
.failed { color: #b3261e; font-weight: 600; }
.estimators td:not(:last-child) { white-space: nowrap; }
pre { background: #1d2530; color: #eef2f6; border-radius: 8px; padding: 14px 18px; margin: 0;
      font-size: 0.85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 520px) { .pair { grid-template-columns: 1fr; }
                           .stack { display: grid; gap: 14px; margin-top: 14px; }
.numbers td, .numbers th { padding-right: 6px; } }
@media print { body { background: #fff; font-size: 12px; }
               figure, .tile, .card { break-inside: avoid; }
               pre { background: #fff; color: #000; border: 1px solid var(--line); } }
"""


def document(title: str, body: str) -> str:
    """A whole page; both are HTML."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{CSS}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def tile(value: str, caption: str) -> str:
    """A number that stands out; both are HTML."""
    return f'<div class="tile"><b>{value}</b><span>{caption}</span></div>'


def figure(title: str, source: str, caption: str) -> str:
    """An image with a caption; `source` is its address."""
    return (
        f'<figure><h3>{escape(title)}</h3><img src="{source}" alt="{escape(title)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def svg_figure(title: str, drawn: Figure, caption: str) -> str:
    """A figure, inside the page."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None})
    return figure(title, data_uri(buffer.getvalue(), "image/svg+xml"), caption)


def png(drawn: Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def pdf(drawn: Figure) -> bytes:
    """A figure as a PDF file."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    return buffer.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """An address that holds its own content."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def table(rows: Iterable[tuple[str, object]]) -> str:
    """Names and values."""
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(text(value))}</td></tr>" for name, value in rows
    )
    return f"<table>{cells}</table>"


def text(value: object) -> str:
    """A setting as a person writes it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text(item)}" for name, item in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
