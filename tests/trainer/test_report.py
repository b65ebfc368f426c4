"""The report stands alone, shows what was measured, and says what the data cannot."""

import base64
import dataclasses
from html.parser import HTMLParser

import numpy as np
import pytest

from lensing_tfds.configs import VERSIONS
from tests.trainer import skies
from trainer import report
from trainer.config import resolve
from trainer.judge import judge
from trainer.models import build_model
from trainer.run import Run
from trainer.scaling import Scaling


class Page(HTMLParser):
    """Collects what a browser would fetch or run, and the images."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.images = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                (self.images if value.startswith("data:image/") else self.links).append(value)


@pytest.fixture(name="pages", scope="module")
def pages_fixture(tmp_path_factory):
    config = skies.CONFIG
    kappa = skies.kappa_maps(40, np.random.default_rng(0))
    evaluation = judge(
        skies.batches(kappa), skies.oracle(0.8 * kappa), config, "test", np.random.default_rng(0)
    )
    columns = ("loss", "val_loss", "map_correlation", "val_map_correlation", "seconds")
    history = {name: np.array([0.9, 0.5, 0.6]) for name in columns} | {"epoch": np.arange(1.0, 4)}
    settings = resolve("lensing/small", "/data & more", config, model="1x4-3")
    run = Run(
        tmp_path_factory.mktemp("run"), settings, config, "1.0.0", Scaling((0.0,), (1.0,), 0.0, 1.0), history
    )
    vars(run)["model"] = build_model("1x4-3", (16, 16, 1), seed=0)  # as if read from best.keras
    return report.render(run, evaluation)


def test_the_page_needs_nothing_from_elsewhere(pages):
    page = Page(pages.html)
    assert page.links == []
    assert "script" not in page.tags
    assert "url(" not in pages.html


def test_every_figure_is_inside(pages):
    images = Page(pages.html).images
    kinds = [image.partition(";")[0] for image in images]
    assert kinds == ["data:image/png"] + ["data:image/svg+xml"] * 5
    contents = [base64.b64decode(image.partition(",")[2]) for image in images]
    assert contents[0] == pages.maps_png
    assert all(b"<svg" in content for content in contents[1:])


def test_the_headline_is_what_was_measured(pages):
    # κ̂ = 0.8 κ: ρ = 1, and 0.2² of the variance remains.
    assert "1.0000 <small>± 0.0000" in pages.html
    assert "4.0%" in pages.html
    assert "Examples 0, 1, 2, 3" in pages.html


def test_text_is_escaped(pages):
    assert "/data &amp; more" in pages.html
    assert "/data & more" not in pages.html


def test_a_custom_config_comes_with_the_command_that_builds_it(pages):
    assert "tfds build lensing --imports lensing_tfds --config" in pages.html


@pytest.mark.parametrize(
    ("version", "phrases"),
    [
        ("v1", ["same unlensed sky", "exaggerated 30 times", "T_lmax = 383", "free of noise"]),
        ("v4", ["T_lmax = 383", "free of noise"]),
        ("v6", ["Nyquist multipole, 1800", "aliased"]),
        ("v8", ["Nyquist multipole, 393", "aliased"]),
    ],
)
def test_the_report_says_what_a_real_sky_does_not_give(version, phrases):
    text = " ".join(report.caveats(VERSIONS[version]))
    for phrase in phrases:
        assert phrase in text


def test_maps_with_noise_are_not_called_free_of_noise():
    noisy = dataclasses.replace(VERSIONS["v4"], noise_uK_arcmin=5.0)
    assert "free of noise" not in " ".join(report.caveats(noisy))
