"""The command that delenses B: its files, and one line for what it cannot do."""

import csv
import json

import numpy as np
import pytest

from estimators.delensing.delensed_maps import delensed_bands
from lensing_tfds import LensingConfig, simulate
from tests.estimators.prediction_files import write_predictions
from trainer import delens

LITTLE = {"name": "little", "npix": 48, "lx": 1.6, "stokes": "QU", "oversampling": 2}
LITTLE |= {"beam_arcmin": 1.0, "noise_uK_arcmin": 0.3}
LITTLE["num_examples"] = {"train": 8, "validation": 8, "test": 20}
DATASET = json.dumps(LITTLE)
QE = ["--estimator", "qe", "--dataset", DATASET, "--lmax", "1200"]


def rows(folder):
    with open(folder / "delensed.csv") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_quadratic_estimates_leave_less_b_and_the_files_agree(tmp_path, capsys):
    delens.main([*QE, "--output", str(tmp_path)])
    text = capsys.readouterr().out
    assert "made of the very B modes that are delensed: QE from all B" in text
    left = json.loads((tmp_path / "delensed.json").read_text())
    shared, split = (left["residual"][f"quadratic_{name}"] for name in ("shared", "split"))
    assert left["residual"]["true_kappa"] < shared < split < 0.9
    assert split == pytest.approx(left["moved_noise"]["quadratic_split"], abs=0.05)
    config = LensingConfig.from_json(LITTLE)
    with np.load(tmp_path / "delensed.npz") as maps:
        observed = maps["observed"]
        after = observed - maps["template_quadratic_split"]
    assert observed.shape == (16, 48, 48) and observed.dtype == np.float32
    table = rows(tmp_path)
    assert [row["quadratic_split"] < row["observed"] for row in table] == [True] * 5
    # Parseval: the mean square of a map is its modes' power, of the bands together.
    bands = delensed_bands(config, 1200.0)
    for name, values in (("observed", observed), ("quadratic_split", after)):
        powers = np.array([row[name] for row in table]) @ bands.num_modes / config.sky.area
        assert np.mean(values.astype(float) ** 2) == pytest.approx(powers, rel=1e-4)


def test_anybodys_maps_delens(tmp_path, capsys):
    """The true κ leaves what the truth leaves; of its negative more is left than there was."""
    config = LensingConfig.from_json(LITTLE)
    kappa = simulate(config, "test", range(20))["kappa"][..., 0]
    for sign, name in ((1, "true"), (-1, "wrong")):
        folder = tmp_path / name
        folder.mkdir()
        write_predictions(folder, sign * kappa, config, str(folder))
        flags = ["--predictions", str(folder), "--lmax", "1200", "--output", str(tmp_path / "out")]
        delens.main([*flags, "--max_examples", "4"])
        left = json.loads((tmp_path / "out" / "delensed.json").read_text())
        assert left["num_examples"] == 4
        if sign > 0:
            expected = left["residual"]["true_kappa"]
            assert left["residual"]["predictions"] == pytest.approx(expected, rel=1e-3)
        else:
            assert left["residual"]["predictions"] > 2


def test_a_folder_that_nothing_can_be_written_to_is_refused_before_any_work(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(delens, "_examples", None)
    with pytest.raises(SystemExit) as ended:
        delens.main([*QE, "--output", str(tmp_path / "file" / "out")])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "cannot write to the folder" in error and error.count("\n") == 1


def test_skies_with_noise_are_simulated_once(tmp_path, monkeypatch):
    simulated, examples = [], delens._examples
    monkeypatch.setattr(delens, "_examples", lambda *a: simulated.append(a) or examples(*a))
    delens.main([*QE, "--output", str(tmp_path), "--max_examples", "2"])
    assert len(simulated) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            [*QE, "--max_examples", "21"],
            "must be from 1 to 20, all skies in test of lensing/little",
        ),
        ([*QE, "--max_examples", "0"], "must be from 1 to 20"),
        ([*QE, "--split", "mine"], "--split mine: lensing/little has train, validation, test"),
        ([*QE, "--lmax", "100"], "no B mode of 'little' lies in"),
        ([*QE, "--lmax", "nan"], "--lmax nan"),
        ([*QE, "--lmax", "300"], "no mode of 'little' lies in 240 <= l < 255"),
        ([*QE, "--max_examples", "1"], "errors need at least 2 examples, there are 1"),
        (["--estimator", "iterated"], "--estimator iterated needs --dataset"),
        (["--estimator", "qe", "--dataset", "lensing/v9"], "'v9' has no polarization"),
        (["--estimator", "qe", "--dataset", "lensing/v13"], "which mix E and B"),
        (["--workdir", "nowhere"], "holds no run"),
        (["--workdir", "r", "--dataset", "lensing/v11"], "a run has its own"),
    ],
)
def test_bad_input_is_one_line(flags, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        delens.main([*flags, "--output", str(tmp_path / "out")])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
