"""A real browser shows the report: every figure is drawn, nothing sticks out of the page."""

import json
import shutil
import subprocess

import pytest

from estimators.estimator import zero
from tests.estimators import skies
from tests.estimators.reports.test_run_page import rendered

_BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(_BROWSER is None, reason="no chromium")

_LOOK = """<script>addEventListener("load", () => {
  document.title = JSON.stringify({
    images: [...document.images].map(image => image.naturalWidth),
    overhang: document.documentElement.scrollWidth - innerWidth})})</script>"""


def seen(html, folder):
    """What a browser makes of a page: the widths of its images; pixels that stick out."""
    path = folder / "page.html"
    path.write_bytes(html.replace("</body>", f"{_LOOK}</body>").encode())
    command = [_BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1240,900"]
    command += [f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    return json.loads(page.partition("<title>")[2].partition("</title>")[0])


def test_every_figure_is_drawn_and_nothing_sticks_out(tmp_path):
    html = rendered(skies.CONFIG, tmp_path, others=(zero(),)).html
    found = seen(html, tmp_path)
    assert len(found["images"]) == html.count("<img ")
    assert min(found["images"]) > 300
    assert found["overhang"] <= 0
    # What a damaged figure looks like to this test.
    damaged = seen(
        html.replace("data:image/png;base64,", "data:image/png;base64,AAAA", 1), tmp_path
    )
    assert damaged["images"][0] < 300
