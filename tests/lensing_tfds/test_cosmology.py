"""A cosmology of a config's own: its spectra are computed once, and kept with the dataset."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig, LensingError, cosmology, simulate
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.sky import spectra

CONFIG = LensingConfig(
    "open",
    npix=16,
    lx=5.0,
    cosmology={"H0": 70.0, "omch2": 0.11},
    num_examples={"train": 6, "validation": 2, "test": 2},
)


@pytest.fixture
def camb_calls(monkeypatch):
    """A stand-in for CAMB, which takes minutes: the fiducial spectra, T four times as strong."""
    calls = []

    def compute(parameters):
        calls.append(parameters)
        table = spectra.fiducial()
        columns = [getattr(table, name) for name in spectra._COLUMNS]
        columns[0] = 16 * columns[0]
        rows = np.column_stack([np.arange(table.lmax + 1), *columns])[2:]
        return "# a header\n" + "\n".join(" ".join(f"{x:.8e}" for x in row) for row in rows) + "\n"

    monkeypatch.setattr(spectra, "compute_with_camb", compute)
    cosmology._computed.cache_clear()
    yield calls
    cosmology._computed.cache_clear()


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
    ):
        given.clear()
        with pytest.raises(ValueError, match="enough"):
            spectra.compute_with_camb(parameters)
        assert {name: given[name] for name in expected} == expected
        assert "ln10^10As" not in given
        assert ("H0" in given) != ("thetastar" in given)


def test_what_camb_refuses_is_one_line():
    cosmology._computed.cache_clear()
    for bad in ({"hubble": 70.0}, {"H0": -3.0}):
        config = LensingConfig("bad", npix=16, lx=5.0, cosmology=bad)
        with pytest.raises(LensingError, match="CAMB refuses it") as caught:
            simulate(config, "train", [0])
        assert "\n" not in str(caught.value)


def test_a_table_that_is_gone_is_named(tmp_path):
    with pytest.raises(LensingError, match=f"cannot read {tmp_path}/spectra.dat"):
        cosmology.spectra_of(CONFIG, str(tmp_path))
