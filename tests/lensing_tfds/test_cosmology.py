"""A cosmology of a config's own: its spectra are computed once, and kept with the dataset."""

import concurrent.futures
import dataclasses
import json
import pathlib
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig, LensingError, cosmology, simulate
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import camb_spectra, spectra
from tests.old_datasets import make_old

CONFIG = LensingConfig(
    "open",
    npix=16,
    lx=5.0,
    cosmology={"H0": 70.0, "omch2": 0.11},
    num_examples={"train": 6, "validation": 2, "test": 2},
)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    """A cache folder of its own for each test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    cosmology._computed.cache_clear()
    yield folder / "lensing_tfds"
    cosmology._computed.cache_clear()


@pytest.fixture
def camb_calls(monkeypatch):
    """A stand-in for CAMB, which takes minutes: the fiducial spectra, T four times as strong."""
    calls = []

    def compute(parameters, accuracy):
        calls.append(parameters)
        table = spectra.fiducial()
        columns = [getattr(table, name) for name in spectra.COLUMNS]
        columns[0] = 16 * columns[0]
        rows = np.column_stack([np.arange(table.lmax + 1), *columns])[2 : accuracy.lmax + 1]
        header = "# CAMB 2.0.5, settings: {}\n# address: abc\n"
        return header + "\n".join(" ".join(f"{x:.8e}" for x in row) for row in rows) + "\n"

    monkeypatch.setattr(camb_spectra, "compute", compute)
    return calls


def test_skies_are_drawn_from_the_cosmologys_spectra(camb_calls):
    ours = simulate(CONFIG, "train", [0])
    fiducial = simulate({**CONFIG.to_json(), "cosmology": None}, "train", [0])
    np.testing.assert_allclose(ours["unlensed"], 4 * fiducial["unlensed"], rtol=1e-4, atol=1e-3)
    simulate(CONFIG, "train", [1])
    assert camb_calls == [{"H0": 70.0, "omch2": 0.11}]


def test_a_dataset_keeps_its_table_and_never_computes_it_again(camb_calls, tmp_path):
    Builder(config=CONFIG, data_dir=str(tmp_path)).download_and_prepare()
    builder = Builder(config=CONFIG, data_dir=str(tmp_path))
    assert (builder.data_path / cosmology.FILE).exists()
    assert len(camb_calls) == 1
    (example,) = tfds.as_numpy(builder.as_dataset(split="test[:1]"))
    np.testing.assert_array_equal(example["lensed"], simulate(CONFIG, "test", [0])["lensed"][0])

    cosmology._computed.cache_clear()
    for shard in builder.data_path.glob("*train*"):
        shard.unlink()
    repair = Builder(config=CONFIG, data_dir=str(tmp_path))
    repair.check_shards = True
    repair.download_and_prepare()
    assert len(camb_calls) == 1
    assert repair.summary.total.num_examples == 10
    table = cosmology.spectra_of(CONFIG, str(builder.data_path))
    assert table.TT[100] == pytest.approx(16 * spectra.fiducial().TT[100], rel=1e-7)


def test_camb_is_given_the_fiducial_cosmology_but_for_what_is_named(monkeypatch):
    camb = pytest.importorskip("camb")
    given = {}

    def set_params(**parameters):
        given.update(parameters)
        raise ValueError("enough")

    monkeypatch.setattr(camb, "set_params", set_params)
    for parameters, expected in (
        ({}, {"H0": 67.36, "As": pytest.approx(2.0989e-9, rel=1e-4)}),
        ({"H0": 70.0}, {"H0": 70.0, "omch2": 0.12}),
        ({"As": 2e-9}, {"As": 2e-9}),
        ({"thetastar": 0.0104}, {"thetastar": 0.0104}),
        ({"zrei": 7.5}, {"zrei": 7.5}),
    ):
        given.clear()
        with pytest.raises(ValueError, match="enough"):
            camb_spectra.compute(parameters)
        assert {name: given[name] for name in expected} == expected
        assert "ln10^10As" not in given
        assert ("H0" in given) != ("thetastar" in given)
        assert ("tau" in given) != ("zrei" in given)


def test_what_camb_refuses_is_one_line_before_anybody_is_told_to_wait(capsys):
    for bad in ({"H0": -3.0}, {"dark_energy_model": "none such"}, {"halofit_version": "none"}):
        config = LensingConfig("bad", npix=16, lx=5.0, cosmology=bad)
        with pytest.raises(LensingError, match="CAMB refuses it") as caught:
            simulate(config, "train", [0])
        assert "\n" not in str(caught.value)
    assert "computes its spectra" not in capsys.readouterr().err


def test_a_cosmology_that_lenses_too_far_is_refused_by_its_own_spectra(monkeypatch):
    """And one that lenses less may be exaggerated more."""
    fiducial = spectra.fiducial()
    at_bound = LensingConfig("far", npix=16, lx=5.0, kappa_exaggeration_factor=2e4)
    config = dataclasses.replace(at_bound, kappa_exaggeration_factor=1e5, cosmology={"H0": 70.0})
    with pytest.raises(LensingError, match="kappa_exaggeration_factor is 100000.0, must be at mo"):
        Simulator(config, "train", fiducial)
    Simulator(config, "train", dataclasses.replace(fiducial, kappa=fiducial.kappa / 100))


@pytest.mark.parametrize(
    "name",
    [
        "hubble",
        "lmax",
        "max_l",
        "AccuracyBoost",
        "Accuracy.AccuracyBoost",
        "lens_potential_accuracy",
    ]
    + ["WantTensors", "r", "Alens", "NonLinear", "DoLensing"],
)
def test_settings_and_what_the_maps_do_not_follow_are_no_cosmology(name):
    with pytest.raises(LensingError, match=f"not '{name}': one of As, H0, .*omch2") as caught:
        LensingConfig("bad", npix=16, lx=5.0, cosmology={"H0": 70.0, name: 1})
    assert "\n" not in str(caught.value)


def test_a_table_that_is_gone_is_named(tmp_path):
    with pytest.raises(LensingError, match=f"cannot read {tmp_path}/spectra.dat"):
        cosmology.spectra_of(CONFIG, str(tmp_path))


def test_datasets_share_a_table_that_was_computed_once(camb_calls, cache, capsys):
    first = cosmology.spectra_of(CONFIG)
    told = capsys.readouterr().err.splitlines()
    assert "CAMB computes its spectra to l = 4,000, once: about 20 s" in told[0]
    assert str(cache) in told[1]
    cosmology._computed.cache_clear()
    again = cosmology.spectra_of(dataclasses.replace(CONFIG, name="other", npix=20))
    np.testing.assert_array_equal(again.kappa, first.kappa)
    assert len(camb_calls) == 1 and capsys.readouterr().err == ""
    cosmology.spectra_of(dataclasses.replace(CONFIG, name="other", cosmology={"H0": 71.0}))
    finer = cosmology.spectra_of(dataclasses.replace(CONFIG, name="finer", oversampling=8))
    assert len(camb_calls) == 3
    assert (first.lmax, finer.lmax) == (4000, 8000)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5000],
        lambda content: content.replace(b"3", b"4", 1),
        lambda content: content.rpartition(b"# sha256")[0],
        lambda content: b"\xff" + content,
    ],
    ids=["empty", "cut", "flipped", "no checksum", "not text"],
)
def test_a_damaged_entry_of_the_cache_is_made_again(damage, camb_calls, cache):
    first = cosmology.spectra_of(CONFIG)
    (entry,) = cache.iterdir()
    content = entry.read_bytes()
    entry.write_bytes(damage(content))
    cosmology._computed.cache_clear()
    np.testing.assert_array_equal(cosmology.spectra_of(CONFIG).TT, first.TT)
    assert len(camb_calls) == 2
    assert entry.read_bytes() == content


def test_who_waits_is_told_how_long_already(camb_calls, monkeypatch, capsys):
    compute = camb_spectra.compute
    monkeypatch.setattr(cosmology, "_SECONDS_BETWEEN_LINES", 0.05)
    monkeypatch.setattr(camb_spectra, "compute", lambda *a: (time.sleep(0.3), compute(*a))[1])
    cosmology.spectra_of(CONFIG)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "CAMB: 0 s so far" and lines[-1].startswith("CAMB took")


def test_where_nothing_can_be_kept_the_table_is_computed_all_the_same(
    camb_calls, monkeypatch, tmp_path, capsys
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cosmology.spectra_of(CONFIG)
    assert "cannot be written" in capsys.readouterr().err
    assert len(camb_calls) == 1


def test_threads_use_camb_one_after_the_other(camb_calls, cache):
    """Two at once overwrite each other's memory: such a run mostly ends in a segmentation fault."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        computed = cosmology._computed.__wrapped__
        texts = set(pool.map(lambda _: computed('{"H0": 70.0}', 4000), range(8)))
    assert len(texts) == len(camb_calls) == 1
    assert [path.suffix for path in cache.iterdir()] == [".dat"]


@pytest.mark.parametrize(
    "change", [lambda c: c[:-2000], lambda c: c.replace(b"3", b"4", 1), lambda c: b"1 2 3\n"]
)
def test_a_damaged_table_of_a_dataset_is_named(change, camb_calls, tmp_path):
    cosmology.store(CONFIG, str(tmp_path), None)
    path = tmp_path / cosmology.FILE
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(LensingError, match=f"{path} is damaged .*: delete it, and the command"):
        cosmology.spectra_of(CONFIG, str(tmp_path))


def test_a_dataset_records_camb_and_is_not_mended_by_another_release(camb_calls, tmp_path):
    builder = Builder(config=CONFIG, data_dir=str(tmp_path))
    builder.download_and_prepare()
    stored = json.loads((builder.data_path / "metadata.json").read_text())
    assert stored["spectra"] == {"camb": "2.0.5", "address": "abc"}
    table = builder.data_path / cosmology.FILE
    content = table.read_bytes()
    table.unlink()

    def repair():
        again = Builder(config=CONFIG, data_dir=str(tmp_path))
        again.check_shards = True
        again.download_and_prepare()

    repair()
    assert table.read_bytes() == content
    table.unlink()
    stored["spectra"]["camb"] = "1.6.0"
    (builder.data_path / "metadata.json").write_text(json.dumps(stored))
    make_old(pathlib.Path(builder.data_path))
    with pytest.raises(LensingError, match="computed by CAMB 1.6.0, and CAMB 2.0.5 with this code"):
        repair()


@pytest.mark.parametrize(
    ("name", "values"), [("TE", 1e6), ("TT", 0.0), ("kappa", -1e-9), ("EE", np.nan)]
)
def test_spectra_that_no_fields_have_are_refused_and_not_drawn_from(
    name, values, camb_calls, monkeypatch, cache
):
    """Their square roots would be NaN, and so would whole maps."""
    compute = camb_spectra.compute

    def impossible(parameters, accuracy):
        rows = [line.split() for line in compute(parameters, accuracy).splitlines()[2:]]
        rows[98][1 + spectra.COLUMNS.index(name)] = str(values)
        return "\n".join(map(" ".join, rows)) + "\n"

    monkeypatch.setattr(camb_spectra, "compute", impossible)
    with pytest.raises(LensingError, match=r"of what CAMB computed, .*(at l = 100|not finite)"):
        cosmology.spectra_of(CONFIG)
    assert not cache.exists()


def test_defaults_of_cambs_releases_change_nothing(monkeypatch):
    """Every accuracy setting of CAMB is perturbed, as a release might; what is computed is not."""
    camb = pytest.importorskip("camb")
    asked = []

    def get_results(model):
        asked.append(f"{model}{camb.config}")
        raise ValueError("enough")

    monkeypatch.setattr(camb, "get_results", get_results)
    accuracy = camb_spectra.TIERS[0]
    with pytest.raises(ValueError, match="enough"):
        camb_spectra.compute({}, accuracy)
    plain = camb.set_params

    def perturbed(**parameters):
        model = plain(**parameters)
        for name in camb_spectra._ACCURACY:
            if hasattr(model.Accuracy, name):
                value = getattr(model.Accuracy, name)
                setattr(model.Accuracy, name, not value if isinstance(value, bool) else 2.5)
        model.max_l, model.max_eta_k, model.min_l_logl_sampling = 3000, 1e4, 4000
        model.DoLateRadTruncation, model.NonLinear = False, "NonLinear_none"
        model.SourceTerms.limber_phi_lmin = 50
        return model

    monkeypatch.setattr(camb, "set_params", perturbed)
    for name, value in {"AccuracyTarget": 0, "lensing_method": 2}.items():
        if hasattr(camb.config, name):
            monkeypatch.setattr(camb.config, name, value)
    with pytest.raises(ValueError, match="enough"):
        camb_spectra.compute({}, accuracy)
    assert asked[0] == asked[1]
    known = {name.lstrip("_") for name, *_ in camb.model.AccuracyParams._fields_}
    assert known <= set(camb_spectra._ACCURACY), "a setting of this release of CAMB is left to it"
    assert camb.config.lensing_method == 2  # as it was for whoever else uses CAMB


def test_an_own_cosmologys_table_is_the_packaged_one_to_its_accuracy():
    """The fiducial cosmology by the settings of a config's own: what they move, measured.

    rms of bands of 1000 multipoles, to l = 4,000: 0.07 % (EE at l < 30 alone is that far off);
    `benchmarks.camb_accuracy` does the same for finer grids.
    """
    pytest.importorskip("camb")
    table, packaged = (
        spectra.parse(camb_spectra.compute({}, camb_spectra.TIERS[0])),
        spectra.fiducial(),
    )
    assert table.lmax == 4000
    for name in spectra.COLUMNS:
        scale = getattr(packaged, name)
        if name.endswith("TE"):
            scale = np.sqrt(packaged.TT * packaged.EE)
        for low in range(2, 4000, 1000):
            band = slice(low, min(low + 1000, 4001))
            error = (getattr(table, name) - getattr(packaged, name)[:4001])[band] / scale[band]
            assert np.sqrt(np.mean(error**2)) < 7e-4, (name, low)
