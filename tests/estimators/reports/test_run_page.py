"""The report stands alone, shows what was measured, and says what the data cannot."""

import base64
import dataclasses
import sys
import types
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.axes import Axes

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, zero
from estimators.judge import judge_estimators
from estimators.power_spectra import measured_with
from estimators.reports import figures, run_page
from estimators.uncertainty import measured_uncertainty
from lensing_tfds.versions import VERSIONS
from tests.estimators import skies
from tests.trainer.tasks import statistics
from trainer.networks.families import build
from trainer.runs.run import Run
from trainer.settings.config import resolve


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
    return rendered(skies.CONFIG, tmp_path_factory.mktemp("run"))


def rendered(config, workdir, others=(), uncertainty=None, split="test"):
    """The report of a network that is right but for its amplitude."""
    kappa = skies.kappa_maps(40, np.random.default_rng(0))
    (network,) = skies.oracle(0.8 * kappa)
    estimators = [dataclasses.replace(network, uncertainty=uncertainty), *others]
    evaluation = judge_estimators(
        skies.batches(kappa), estimators, SkyEnsemble.of(config), split, np.random.default_rng(0)
    )
    columns = ("loss", "val_loss", "map_correlation", "val_map_correlation", "seconds")
    history = {name: np.array([0.9, 0.5, 0.6]) for name in columns} | {"epoch": np.arange(1.0, 4)}
    settings = resolve("lensing/small", "/data & more", config, model="1x4-3")
    run = Run(
        workdir,
        settings,
        config,
        "1.0.0",
        history,
    )
    # As if read from best.keras.
    vars(run)["model"] = build("1x4-3", run.task, statistics(run.task), seed=0)
    vars(run)["dataset"] = types.SimpleNamespace(name="lensing/small", data_dir="/data & more")
    return run_page.render(run, evaluation)


def test_the_page_needs_nothing_from_elsewhere(pages):
    page = Page(pages.html)
    assert page.links == []
    assert "script" not in page.tags
    assert "url(" not in pages.html


def test_every_figure_is_inside(pages):
    images = Page(pages.html).images
    kinds = [image.partition(";")[0] for image in images]
    assert kinds.count("data:image/svg+xml") == 7 and kinds.count("data:image/png") == 1
    contents = [base64.b64decode(image.partition(",")[2]) for image in images]
    gallery = kinds.index("data:image/png")
    assert contents.pop(gallery) == pages.maps_png
    assert all(b"<svg" in content for content in contents)


def test_the_page_says_what_measured_its_spectra(monkeypatch, tmp_path, pages):
    assert f"measured with {measured_with()}." in pages.html
    monkeypatch.setitem(sys.modules, "pymaster", None)  # as where it is not installed
    without = rendered(skies.CONFIG, tmp_path).html
    assert "measured with this package&#x27;s own Fourier transform." in without
    assert "NaMaster" not in without


def test_the_headline_is_what_was_measured(pages):
    # κ̂ = 0.8 κ: ρ = 1, and 0.2² of the variance remains.
    assert "1.0000 <small>± 0.0000" in pages.html
    assert "4.0%" in pages.html
    assert "Examples 0, 1, 2, 3" in pages.html


def test_the_comparison_shows_every_estimator_and_who_wins(tmp_path, pages):
    rng = np.random.default_rng(1)

    def noisy(name, label, noise):
        def predict(batch):
            lensed = batch["lensed"]  # 1000 κ
            return lensed * 1e-3 + noise * lensed.std() * 1e-3 * rng.standard_normal(lensed.shape)

        return Estimator(name, label, predict, f"noise {noise}")

    others = (noisy("qe_tt", "QE <TT>", 2), noisy("qe_tt_wiener", "QE TT, Wiener", 1), zero())
    html = rendered(skies.CONFIG, tmp_path, others).html
    assert len(Page(html).images) == len(Page(pages.html).images) + 3
    for phrase in ("QE &lt;TT&gt;", "noise 2", "noise 1", "κ̂ = 0 everywhere", "rests on"):
        assert phrase in html and phrase not in pages.html
    assert "beats QE TT, Wiener" in html
    assert "beats QE &lt;TT&gt;" not in html  # without a filter it is no estimate of a map


def test_errors_have_a_figure_and_a_sentence_where_there_are_some(tmp_path, pages):
    kappa = skies.kappa_maps(40, np.random.default_rng(0))
    errors = measured_uncertainty([(kappa, 0.8 * kappa)], skies.ENSEMBLE.bands)
    sure = rendered(skies.CONFIG, tmp_path, uncertainty=errors)
    assert len(Page(sure.html).images) == len(Page(pages.html).images) + 1
    assert sure.figures.keys() - pages.figures.keys() == {"coverage"}
    # Judged on the examples that they were measured on, they are right but for one number.
    assert "Intervals of 68 % hold the truth in 68.0" in sure.html
    assert "those of 95 % in 95.0" in sure.html
    assert f"± {errors.pixel_half_width(0.95):.3g} (95 %)" in sure.html
    assert "The estimate&#x27;s errors" in sure.html and "hold the truth" not in pages.html


@pytest.mark.parametrize("split", ["test", "validation"])
def test_coverage_of_the_examples_that_errors_were_measured_on_is_no_evidence(tmp_path, split):
    kappa = skies.kappa_maps(40, np.random.default_rng(0))
    errors = measured_uncertainty([(kappa, 0.8 * kappa)], skies.ENSEMBLE.bands)
    html = rendered(skies.CONFIG, tmp_path, uncertainty=errors, split=split).html
    circular = split == "validation"
    assert ("they fit by construction" in html) == circular
    assert ("examples that they were not measured on" in html) != circular


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
        ("v10", ["the patch is periodic", "no foregrounds"]),
    ],
)
def test_the_report_says_what_a_real_sky_does_not_give(version, phrases):
    text = " ".join(run_page.caveats(VERSIONS[version]))
    for phrase in phrases:
        assert phrase in text


@pytest.mark.parametrize("version", ["v9", "v10", "v11", "v12"])
def test_a_surveys_maps_have_no_power_that_a_real_sky_has_not(version):
    text = " ".join(run_page.caveats(VERSIONS[version]))
    for phrase in ("no real sky", "comes back aliased", "T_lmax", "B-mode", "fades"):
        assert phrase not in text


@pytest.mark.parametrize(
    ("fields", "phrase", "is_said"),
    [
        ({"lx": 40.0}, "Nyquist multipole, 2304, comes back aliased", True),  # 4.7' pixels
        ({"oversampling": 1}, "Nyquist multipole, 5400, comes back aliased", True),
        ({"T_lmax": 3000}, "The unlensed sky stops at T_lmax = 3000", True),
        ({"T_lmax": 6000}, "by lensing alone", True),  # in the corners of the maps' plane
        ({"T_lmax": 8000}, "by lensing alone", False),  # beyond what the maps carry
        ({"T_lmax": 8000}, "lensing moves down from above it", True),
        ({"T_lmax": 16000}, "T_lmax", False),  # beyond what was lensed
        ({"kappa_lmax": 2000}, "κ has no power above L = 2,000", True),
        ({"noise_uK_arcmin": 0.0}, "B-mode polarization", True),
        ({"taper": 0.5}, "Within 0.5° of the edges", True),
        ({"padding": 1.5}, "the patch is periodic", False),
    ],
)
def test_the_report_says_what_a_surveys_config_changes(fields, phrase, is_said):
    text = " ".join(run_page.caveats(dataclasses.replace(VERSIONS["v12"], **fields)))
    assert (phrase in text) is is_said


def test_maps_of_several_channels_and_cut_patches_are_called_what_they_are(tmp_path, pages):
    fields = {"stokes": "QU", "padding": 2.0, "noise_uK_arcmin": 1.0}
    html = rendered(dataclasses.replace(skies.CONFIG, **fields), tmp_path).html
    for phrase in ("The input is Q, U; shown is Q.", "cut out of a larger sky"):
        assert phrase in html and phrase not in pages.html
    assert "20° on a side, periodic" in pages.html


@pytest.mark.parametrize(
    ("stokes", "title"),
    [("T", "Lensed temperature: input, µK"), ("QU", "Lensed Q: input, µK")],
)
def test_the_gallery_names_the_channel_that_it_shows(stokes, title):
    config = dataclasses.replace(skies.CONFIG, stokes=stokes)
    kappa = skies.kappa_maps(4, np.random.default_rng(0))
    evaluation = judge_estimators(
        skies.batches(kappa),
        skies.oracle(kappa),
        SkyEnsemble.of(config),
        "test",
        np.random.default_rng(0),
    )
    figure = figures.maps(evaluation, config)
    assert figure.axes[0].get_title() == title
    # A colour bar's label between two maps would read as that of the right one's axis.
    labels = [axes.get_ylabel().partition(" ")[0] for axes in figure.findobj(Axes)]
    assert sorted(filter(None, labels)) == ["example"] * 4 + ["κ"] * 4


def test_maps_with_noise_are_not_called_free_of_noise():
    noisy = dataclasses.replace(VERSIONS["v4"], noise_uK_arcmin=5.0)
    assert "free of noise" not in " ".join(run_page.caveats(noisy))


def test_titles_name_the_forecast_and_large_scales_where_there_are_any(pages):
    assert "Correlation with κ</h3>" in pages.html and "κ of all estimates</h3>" in pages.html
    assert "and the forecast</h3>" not in pages.html and "large scales</h3>" not in pages.html


def test_regions_of_different_noise_have_a_section(pages, tmp_path):
    """A table of each region, in pairs with the estimators beside, and a figure."""
    title = "Where the noise is low, and where it is high"
    uneven = dataclasses.replace(skies.CONFIG, noise_uK_arcmin=6.0, hits={"contrast": 4.0})
    found = rendered(uneven, tmp_path, [zero()])
    assert title in found.html and title not in pages.html
    assert "regions" in found.figures and "regions" not in pages.figures
    for region in ("deep", "middle", "shallow"):
        assert f">{region}<" in found.html
