"""A real browser shows the report: every figure is drawn, nothing sticks out of the page."""

import dataclasses
import json
import shutil
import subprocess

import numpy as np
import pytest

from estimators.estimator import zero
from estimators.reports import page
from estimators.uncertainty import measured_uncertainty
from tests.estimators import skies
from tests.estimators.reports.test_run_page import rendered

_BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(_BROWSER is None, reason="no chromium")

_LOOK = """<script>addEventListener("load", () => parent.postMessage({
    images: [...document.images].map(image => image.naturalWidth),
    narrowest: Math.min(...[...document.images].map(image => image.width)),
    tallest: Math.max(...[...document.querySelectorAll("tr")].map(row => row.offsetHeight)),
    width: innerWidth,
    overhang: document.documentElement.scrollWidth - innerWidth}, "*"))</script>"""

# A browser's own window is not as narrow as a phone's.
_FRAME = """<iframe src="page.html" style="border: 0; width: {}px; height: 900px"></iframe>
<script>onmessage = event => {{ document.title = JSON.stringify(event.data) }}</script>"""


def seen(html, folder, width):
    """What a browser makes of a page on a screen of some width, pixels."""
    (folder / "page.html").write_bytes(html.replace("</body>", f"{_LOOK}</body>").encode())
    path = folder / "frame.html"
    path.write_text(_FRAME.format(width))
    command = [_BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1300,900"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000"]
    command += ["--dump-dom", path.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    return json.loads(shown.partition("<title>")[2].partition("</title>")[0])


@pytest.fixture(name="html", scope="module")
def html_fixture(tmp_path_factory):
    """A report with a long name and long words in its tables."""
    other = dataclasses.replace(zero(), name="qe_tt_wiener", label="x" * 80, basis="measured " * 9)
    kappa = skies.kappa_maps(40, np.random.default_rng(0))
    errors = measured_uncertainty([(kappa, 0.8 * kappa)], skies.ENSEMBLE.bands)
    folder = tmp_path_factory.mktemp("run")
    html = rendered(skies.CONFIG, folder, others=(other, zero()), uncertainty=errors).html
    cells = ("network", "response to κ of unlensed maps", "0.0095 ± 0.0068", "0.001", "passed")
    return html.replace("</main>", page.grid((), [cells * 2], text=(0, 1, 4, 5, 6)) + "</main>")


@pytest.mark.parametrize("width", [400, 1240])
def test_every_figure_is_drawn_and_nothing_sticks_out(html, tmp_path, width):
    found = seen(html, tmp_path, width)
    assert found["width"] == width
    assert len(found["images"]) == html.count("<img ")
    assert min(found["images"]) > 300
    assert found["overhang"] <= 0
    assert found["narrowest"] > 300  # of the figures as they are shown
    assert found["tallest"] < 0.5 * width  # of the tables' rows


def test_a_damaged_figure_is_seen(html, tmp_path):
    damaged = html.replace("data:image/png;base64,", "data:image/png;base64,AAAA", 1)
    assert min(seen(damaged, tmp_path, 1240)["images"]) < 300
