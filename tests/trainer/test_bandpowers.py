"""The command that measures band powers: its files, and one line for what it cannot do."""

import json
import sys
import types

import numpy as np
import pytest

from estimators.bandpowers import sacc_files
from estimators.bandpowers.measurement import Numbers
from estimators.bandpowers.sky_sets import FIDUCIAL
from estimators.reports import style
from lensing_tfds import simulate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from tests.estimators.prediction_files import write_predictions
from trainer import bandpowers
from trainer.bandpower_sources import NamedSource, RunSource

LITTLE = {"name": "little", "npix": 32, "lx": 1.0, "stokes": "QU", "oversampling": 2}
LITTLE |= {"beam_arcmin": 2.0, "noise_uK_arcmin": 1.0}
LITTLE["num_examples"] = {"train": 8, "validation": 8, "test": 40}
DATASET = json.dumps(LITTLE)
FEW = ["--simulations", "24", "--scaled_simulations", "8", "--rdn0_simulations", "2"]
FEW += ["--max_examples", "8", "--bands", "180,900,1620,2340"]


@pytest.fixture(autouse=True)
def no_pool(monkeypatch):
    """One process, and a SACC that writes a name where there is none."""
    monkeypatch.setenv("LENSING_TFDS_WORKERS", "1")
    if sacc_missing():
        monkeypatch.setitem(sys.modules, "sacc", types.ModuleType("sacc"))
        monkeypatch.setattr(sacc_files, "write_sacc", lambda powers, path: path.write_text("sacc"))


def sacc_missing():
    try:
        import sacc  # noqa: F401
    except ImportError:
        return True
    return False


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        bandpowers.main([*arguments])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_an_estimator_without_training_from_flags_to_files(tmp_path, capsys, monkeypatch):
    output = tmp_path / "out"
    flags = ["--estimator", "qe", "--dataset", DATASET, "--output", str(output), *FEW]
    bandpowers.main(flags)
    names = {"bandpowers.csv", "bandpowers.sacc", "bandpowers.png", "biases.pdf", "spectra"}
    assert names <= {path.name for path in output.iterdir()}
    text = capsys.readouterr().out
    assert "A_L = " in text and "| 180–900 |" in text
    before = (output / "bandpowers.csv").read_bytes()
    bandpowers.main(flags)  # nothing is simulated again
    assert "(6 reused)" in capsys.readouterr().out
    assert (output / "bandpowers.csv").read_bytes() == before
    bandpowers.main([*flags[:-1], "180,1620,2340"])
    assert "| 180–1620 |" in capsys.readouterr().out

    def dies(figure, kind):
        raise RuntimeError

    monkeypatch.setattr(style, "save", dies)
    with pytest.raises(RuntimeError):
        bandpowers.main(flags)
    assert not (output / "bandpowers.sacc").exists()  # of other bands than figures that follow


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    """Estimates of half of κ, with noise."""
    folder = tmp_path_factory.mktemp("predictions")
    config = LensingConfig.from_json(LITTLE)
    kappa = simulate(config, "test", range(40))["kappa"][..., 0]
    noise = np.random.default_rng(0).standard_normal(kappa.shape) * kappa.std()
    write_predictions(folder, 0.5 * kappa + noise, config, str(folder))
    return folder


def test_anybodys_maps_have_band_powers_by_those_that_are_not_observed(
    predictions, tmp_path, capsys
):
    flags = ["--predictions", str(predictions), "--output", str(tmp_path)]
    bandpowers.main([*flags, "--max_examples", "10", "--bands", "180,900,1620"])
    text = capsys.readouterr().out
    assert "10 skies of lensing/little, 30 simulations, 2 bands" in text
    assert "not fitted" in text


def test_the_defaults_that_help_names_are_those_of_the_measurement():
    defaults = [default for default, _ in bandpowers._SIMULATIONS.values()]
    assert Numbers(1) == Numbers(1, *defaults)


def test_bad_input_is_one_line(predictions, tmp_path, capsys):
    out = ["--output", str(tmp_path)]
    qe = ["--estimator", "qe", "--dataset", DATASET, *out]
    theirs = ["--predictions", str(predictions), *out]
    for flags, message in (
        ([*qe, *FEW, "--simulations", "0"], "0 simulations: band powers need at least 1"),
        ([*qe, *FEW, "--simulations", "5", "--scaled_simulations", "4"], "5 simulations are too"),
        ([*qe, *FEW, "--bands", "180,90000"], "whole rings of modes from L = 360 to 5580"),
        ([*qe, *FEW, "--bands", "a,b"], "--bands a,b: must be edges"),
        ([*qe, *FEW, "--no_such_flag", "1"], "neither this command nor Beam knows the flag"),
        (
            [*qe, *FEW, "--max_examples", "41"],
            "must be from 1 to 40, all skies in test of lensing/little",
        ),
        ([*qe, *FEW, "--split", "mine"], "--split mine: lensing/little has train, validation, te"),
        (["--estimator", "qe", *out], "--estimator qe needs --dataset"),
        (["--workdir", str(tmp_path), *out], "holds no run"),
        (["--workdir", "r", "--dataset", "lensing/v8", *out], "a run has its own"),
        ([*theirs, "--max_examples", "40"], "none is left for simulations"),
        ([*theirs, "--max_examples", "36", "--bands", "180,900,1620"], "4 simulations are too few"),
        (["--estimator", "qe", "--dataset", DATASET, "--output", "gs://b/a"], "written to a disk"),
        ([*theirs, "--split", "train"], "holds predictions of test, not of train"),
        ([*theirs, "--simulations", "240"], "--simulations is for estimates that can be simulated"),
        ([*theirs, "--dataset", "lensing/v8"], "holds predictions of lensing/little, not of"),
    ):
        assert message in run(capsys, *flags), flags
    assert not list(tmp_path.glob("spectra/*"))


def test_a_source_names_what_its_estimates_depend_on():
    sources = [NamedSource.of(name, DATASET) for name in ("qe", "iterated")]
    sources += [NamedSource.of("iterated", "lensing/v11"), NamedSource.of("qe", "lensing/v11")]
    assert len({source.digest for source in sources}) == 4
    assert [source.quadratic for source in sources] == [True, False, False, True]
    assert not NamedSource.of("qe", "lensing/v15").quadratic  # holes: no two have one filter
    assert not NamedSource.of("qe", "lensing/v1").quadratic  # one CMB: no two are independent
    assert FIDUCIAL.first > max(sources[0].config.num_examples.values())
    with pytest.raises(LensingError, match="choose qe or iterated"):
        NamedSource.of("map", "lensing/v8")
    with pytest.raises(LensingError, match="holds no run"):
        RunSource.of("nowhere")
