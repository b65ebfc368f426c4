"""Cards say what the datasets are: their facts are compared with the data and the configs."""

import dataclasses
import importlib.resources
import io
import json
import os
import re
import shutil
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import lensing_tfds
from estimators.ensemble import SkyEnsemble
from lensing_tfds import LensingConfig, cosmology, simulate
from lensing_tfds.errors import LensingError
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records.datasets import open_built
from lensing_tfds.sky import camb_spectra, spectra
from lensing_tfds.versions import VERSIONS
from pipelines import card
from pipelines.cards import citations, example, facts, page, prose, reference, timing, validation
from pipelines.validation import outcome, validation_page
from pipelines.validation.observables import Observables
from pipelines.validation.outcome import Curve, Response, Verdict

FEW = {"train": 6, "validation": 3, "test": 2}
TQU = LensingConfig(
    "tiny_tqu",
    npix=24,
    lx=2.0,
    stokes="TQU",
    oversampling=4,
    beam_arcmin=6.0,
    noise_uK_arcmin=2.0,
    unlensed_E=True,
    num_examples=FEW,
)
T = LensingConfig(
    "tiny_t",
    npix=16,
    lx=10.0,
    T_lmax=200,
    kappa_lmax=150,
    kappa_exaggeration_factor=10.0,
    num_examples=FEW,
)


def verdict(passed=False):
    """A verdict on `T`, made up."""
    observables = Observables(T, 5)
    curves = [
        Curve(
            spectrum,
            ell=np.array([200.0, 400.0, 800.0, 900.0]),
            limits=np.array([[150.0, 300.0, 700.0, 850.0], [250.0, 500.0, 850.0, 950.0]]),
            measured=np.array([3, 2, 1, np.nan]),
            error=np.array([0.1, 0.1, 0.1, np.nan]),
            expected=np.array([3.1, 2, 1.05, 1]),
            expected_error=np.zeros(4),
            scale=np.array([3.1, 2, 1.05, 1]),
            tested=np.array([True, True, True, False]),
            compared=True,
        )
        for spectrum in observables.spectra
        if spectrum.name in ("lensed TT", "unlensed TT", "lensed TT, Nyquist")
    ]
    words = "lensed TT: 2.0% above theory at l = 300"
    limits = np.array([[20.0], [30.0]])
    return Verdict(
        T,
        {"train": 1000, "validation": 6, "test": 5},
        (
            outcome.Test("lensed TT", passed, words, "χ² 99.0 / 3", 1e-9),
            outcome.Test("finite", True, "no NaN and no infinity"),
        ),
        tuple(curves),
        (Response("TT", limits, np.array([0.99]), np.array([0.01])),),
        (("lensed TT", "1.07% from CAMB's"),),
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for config in (TQU, T):
        Builder(config=config, data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(scope="module")
def pages(data_dir, tmp_path_factory):
    """The folder that the command writes."""
    output = tmp_path_factory.mktemp("docs") / "datasets"
    names = [f"lensing/{config.name}" for config in (TQU, T)]
    card.main(["--dataset", *names, "--data_dir", str(data_dir), "--output", str(output)])
    return output


def rows(text):
    """The cells of all tables, by the first one of each row."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_a_survey_in_polarization(pages, data_dir):
    text = (pages / "tiny_tqu.md").read_text()
    table = rows(text)
    assert table["observed"] == ["T, Q, U"]
    assert table["patch"] == ["2° × 2°, 24 × 24 pixels of 5′, periodic"]
    assert table["multipoles"] == ["180 to 2,160 along an axis"]
    assert table["lensed on"] == ["pixels of 1.25′, then cut in Fourier space to its own"]
    assert table["beam"] == ["Gaussian, 6′ FWHM"]
    assert table["noise"] == [
        "white, 2 µK′ in T (0.4 µK a pixel); 2.83 µK′ in Q and U (0.566 µK a pixel)"
    ]
    assert "κ times" not in table and "unlensed band" not in table and "taper" not in table
    assert table["lensed"][:4] == ["T, Q, U", "24 × 24 × 3", "float32", "µK"]
    assert table["unlensed"][:4] == ["T, Q, U", "24 × 24 × 3", "float32", "µK"]
    assert table["kappa"][:4] == ["kappa", "24 × 24 × 1", "float32", "dimensionless"]
    assert table["unlensed_E"][:4] == ["E", "24 × 24 × 1", "float32", "µK"]
    assert table["index"][1:3] == ["scalar", "int64"]
    files = list((data_dir / "lensing/tiny_tqu/2.0.0").glob("*.tfrecord-*-of-00001"))
    total = sum(file.stat().st_size for file in files)
    assert f"On disk: {total / 1e3:.3g} kB." in text
    assert [table[split][0] for split in FEW] == ["6", "3", "2"]
    assert "a second label" in text and "tensors" in text and "1/f" in text
    assert "periodic: a real survey" in text and "aliased" not in text
    assert "Zaldarriaga & Seljak (1997)" in text
    assert "--dataset lensing/tiny_tqu" in text
    assert "run `python -m pipelines.validate --dataset lensing/tiny_tqu`" in text


def test_a_step_of_a_study_in_temperature(pages):
    text = (pages / "tiny_t.md").read_text()
    table = rows(text)
    assert table["observed"] == ["T"]
    assert table["lensed on"] == ["its own pixels"]
    assert table["unlensed band"] == ["T ≤ 200"] and table["κ band"] == ["κ ≤ 150"]
    assert table["κ times"] == ["10, in the lensing and in the label"]
    assert "beam" not in table and "noise" not in table and "unlensed_E" not in table
    assert "what lies above it was put there by lensing alone, free of noise" in text
    assert "There is no beam and no noise." in text
    assert "10 times too strong is no small perturbation" in text
    assert "Only modes inside the input band, l ≤ 200, are used." in text
    assert "Zaldarriaga" not in text and "tensors" not in text and "1/f" not in text


def times(stored):
    return {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(stored.data_path)}


def test_time_is_measured(pages, data_dir):
    """A shard is written, elsewhere, and the dataset is left as it was."""
    stored = open_built("tiny_t", str(data_dir))
    before = times(stored)
    began = time.monotonic()
    seconds = timing.seconds_per_example(stored)
    assert 0 < seconds * FEW["train"] < time.monotonic() - began
    assert times(stored) == before
    of_tfds = tfds.builder_from_directory(stored.data_path)
    assert facts.building_time(0.04, of_tfds) == "40 ms an example, 0.44 s in all"
    found = re.search(r"one core ([\d.]+) ms an example", (pages / "tiny_t.md").read_text())
    assert 0 < float(found[1]) < 10_000


def test_time_with_a_cosmology_of_its_own(data_dir, tmp_path, monkeypatch):
    """Its table is in the dataset's folder: CAMB is not asked again."""
    packaged = importlib.resources.files("lensing_tfds.sky").joinpath(spectra.TABLE).read_text()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(camb_spectra, "compute", lambda parameters, accuracy: packaged)
    own = dataclasses.replace(T, name="own", cosmology={"H0": 70.0})
    cosmology._computed.cache_clear()
    Builder(config=own, data_dir=tmp_path).download_and_prepare()
    cosmology._computed.cache_clear()
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.delattr(camb_spectra, "compute")
    made = page.card(open_built("own", str(tmp_path)))
    assert rows(made.text)["cosmology"] == ["flat ΛCDM, Planck 2018 best fit, but H0 70.0"]


def test_every_figure_is_there_and_small(pages):
    for name in ("tiny_tqu", "tiny_t"):
        linked = re.findall(r"!\[.+\]\((.+\.png)\)", (pages / f"{name}.md").read_text())
        assert sorted(linked) == [f"{name}-example.png", f"{name}-quadratic-estimator.png"]
        for file in linked:
            content = (pages / file).read_bytes()
            assert len(content) < 160_000
            pixels = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
            assert pixels.shape[1] > 400 and pixels.std() > 10  # something is drawn


def test_the_figure_shows_the_first_test_example(data_dir):
    maps = example.first_example(open_built("tiny_tqu", str(data_dir)))
    assert maps["index"] == 0
    np.testing.assert_array_equal(maps["kappa"], simulate(TQU, "test", [0])["kappa"][0])
    shown = example.panels(maps, TQU)
    assert list(shown) == [
        *(f"{c} {what}" for c in "TQU" for what in ("lensed", "lensed − unlensed")),
        *("E lensed", "B lensed", "E unlensed", "κ"),
    ]
    difference = maps["lensed"][..., 2] - maps["unlensed"][..., 2]
    np.testing.assert_allclose(shown["U lensed − unlensed"], difference, atol=1e-5)


def test_E_and_B_are_those_of_the_shown_Q_and_U():
    """An unlensed sky has E, which is its label, and no B (but for the Nyquist lines)."""
    maps = {name: value[0] for name, value in simulate(TQU, "test", [0]).items()}
    shown = example.panels(maps | {"lensed": maps["unlensed"]}, TQU)
    e, b, label = (shown[name] for name in ("E lensed", "B lensed", "E unlensed"))
    assert np.abs(b).std() < 0.1 * e.std()
    assert np.corrcoef(e.ravel(), label.ravel())[0, 1] > 0.99


def test_a_verdict_is_on_the_page(data_dir, tmp_path, pages):
    folder = data_dir / "lensing/tiny_t/2.0.0"
    try:
        content = validation_page.files(verdict(), "2.0.0")[validation.FILE]
        assert json.loads(content)["lensing_tfds_version"] == lensing_tfds.__version__
        (folder / validation.FILE).write_bytes(content)
        made = page.card(open_built("tiny_t", str(data_dir)))
    finally:
        (folder / validation.FILE).unlink()
    assert f"data of version 2.0.0 by lensing-tfds {lensing_tfds.__version__}: " in made.text
    assert "**1 of 2 tests failed** on 1,011 examples:\n\n- lensed TT: 2.0% above" in made.text
    assert "- lensed TT: 1.07% from CAMB's" in made.text
    assert rows(made.text)["lensed TT"][:2] == ["χ² 99.0 / 3", "1e-09"]
    assert "finite" not in rows(made.text)
    assert validation.summary(verdict(passed=True)) == (
        "all 2 tests passed on 1,011 examples "
        "(a right dataset fails one with a probability of 0.1%)."
    )
    assert "(tiny_t-validation.png)" in made.text and "tiny_t-validation.png" in made.figures


def test_a_verdict_comes_back_from_its_file_as_it_was():
    first = verdict()
    stored = json.loads(json.dumps(first.to_json("2.0.0")))
    again = Verdict.from_json(stored, "file")
    assert again.to_json("2.0.0") == stored
    assert again.tests == first.tests and again.config == T and again.numbers == first.numbers
    for ours, theirs in zip(first.curves, again.curves, strict=True):
        assert theirs.spectrum == ours.spectrum
        np.testing.assert_array_equal(theirs.measured, ours.measured)
        np.testing.assert_array_equal(theirs.sigmas, ours.sigmas)
    np.testing.assert_array_equal(again.responses[0].value, first.responses[0].value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda found: found.pop("tests"), "is not a verdict ('tests')"),
        (lambda found: found.update(schema=2), "has the schema 2, not 1"),
        (lambda found: found.update(passed=True), "its tests and its result differ"),
        (lambda found: found["spectra"][0].update(name="lensed XX"), "is not a verdict"),
        (lambda found: found["spectra"][0].update(tested="yes"), "is not a verdict"),
        (lambda found: found["spectra"][0]["ell"].pop(), "is not a verdict"),
        (lambda found: found["config"].update(npix=-1), "npix is -1"),
    ],
)
def test_a_verdict_that_was_edited_is_one_line(change, reason):
    found = verdict().to_json("2.0.0")
    change(found)
    with pytest.raises(LensingError) as caught:
        Verdict.from_json(found, "file")
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_verdict_is_one_line(data_dir, tmp_path, capsys):
    path = data_dir / "lensing/tiny_t/2.0.0" / validation.FILE
    try:
        path.write_text('{"passed": true')
        assert error_of(capsys, "tiny_t", data_dir, tmp_path).startswith(
            f"error: {path}: not valid JSON"
        )
    finally:
        path.unlink()


def error_of(capsys, name, data_dir, output):
    with pytest.raises(SystemExit) as caught:
        card.main(
            ["--dataset", f"lensing/{name}", "--data_dir", str(data_dir), "--output", str(output)]
        )
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_dataset_that_is_not_built_is_one_line(tmp_path, capsys):
    line = error_of(capsys, "v9", tmp_path, tmp_path / "docs")
    assert line.startswith(f"error: lensing/v9 is not in {tmp_path}; build it with: tfds build")
    assert not (tmp_path / "docs").exists()


def test_a_folder_that_cannot_be_written_is_one_line(data_dir, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    line = error_of(capsys, "tiny_t", data_dir, tmp_path / "file" / "docs")
    assert line == f"error: cannot write to the folder {tmp_path}/file/docs: Not a directory"


@pytest.mark.parametrize(
    ("name", "estimator", "expected", "tolerance"),
    [
        ("v1", "TT", 0.96, 0.005),
        ("v3", "TT", 0.74, 0.01),
        ("v4", "TT", 0.11, 0.005),
        ("v8", "TT", 0.12, 0.005),
        ("v9", "TT", 0.457, 0.02),
        ("v12", "EB", 0.566, 0.04),
    ],
)
def test_what_the_quadratic_estimator_reaches(name, estimator, expected, tolerance):
    """Map-level, against integrals by another code, to what sums over a patch's modes differ."""
    theory = reference.reference(SkyEnsemble.of(VERSIONS[name]))
    assert theory.map_rho[estimator] == pytest.approx(expected, abs=tolerance)
    (row,) = (row for row in theory.rows() if row[0] == estimator)
    assert len(row) == 2 + len(theory.shown_ell)


def test_the_index_links_the_versions_that_have_a_page(pages):
    text = page.index([T, VERSIONS["v10"], VERSIONS["v1"]])
    links = re.findall(r"\[(v\d+)\]\((v\d+)\.md\)", text)
    assert links == [("v1", "v1"), ("v10", "v10")]
    assert rows(text)["[v10](v10.md)"][:2] == ["T, Q, U", "256 × 256 at 2′"]
    assert rows(text)["[tiny_t](tiny_t.md)"][-1] == "A config of its own."
    assert text.index("tiny_t.md") > text.index("v10.md")


def test_the_index_holds_own_configs_made_before_too(pages, data_dir):
    """Each page holds its config: a second run finds the first one's pages, and no other texts."""
    (pages / "notes.md").write_text("# Notes\n")
    card.main(["--dataset", "lensing/tiny_t", "--data_dir", str(data_dir), "--output", str(pages)])
    (pages / "notes.md").unlink()
    text = (pages / page.INDEX).read_text()
    assert text.startswith("# Datasets") and "notes" not in text
    found = rows(text)
    assert found["[tiny_tqu](tiny_tqu.md)"][:2] == ["T, Q, U", "24 × 24 at 5′"]
    assert found["[tiny_t](tiny_t.md)"][:2] == ["T", "16 × 16 at 37.5′"]
    assert page.config_of("tiny_t", (pages / "tiny_t.md").read_text()) == T


@pytest.mark.parametrize("name", VERSIONS)
def test_every_version_has_its_words(name):
    """What it is for and not for differs between the study's versions and the surveys."""
    config = VERSIONS[name]
    is_survey = int(name[1:]) >= 9
    purpose = prose.purpose(config)
    assert ("statistics of its maps are those of" in purpose) == is_survey
    assert ("the lensed sky" in purpose) == (is_survey and name not in ("v13", "v14"))
    assert config.description in prose.purpose(config)
    warned = " ".join(prose.not_for(config))
    assert ("a signal that no real sky offers" in warned) == (not is_survey)
    assert ("Foregrounds" in warned) and ("Gaussian" in warned)
    cited = citations.citations(config)
    assert ("Zaldarriaga" in " ".join(cited)) == ("Q" in config.channels)
    assert all("arxiv.org/abs/" in line for line in cited)


def test_the_bibliography_is_read_whole():
    entries = citations.bibliography()
    assert len(entries) >= 12
    for key, entry in entries.items():
        assert {"title", "author", "year"} <= set(entry), key
        assert not set("{}\\\n") & set("".join(entry.values())), key
