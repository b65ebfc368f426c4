"""The command that estimates κ from own maps, with each kind of model."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.filtering.masked_patch import window_of
from estimators.iterated import fitting
from estimators.uncertainty import LEVELS, Uncertainty, rings_of
from lensing_tfds import LensingConfig, simulate
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from tests.trainer.networks.kinds import KINDS
from tests.trainer.tasks import statistics
from trainer import pretrained, reconstruct
from trainer.networks import families
from trainer.networks.scaling import Scaling
from trainer.runs.checkpoints import BEST, Record, save
from trainer.runs.history import COLUMNS, row_of
from trainer.runs.run import load_run
from trainer.runs.run_config import RunConfig, write_config
from trainer.settings.config import resolve

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = LensingConfig(
    "small", npix=32, lx=1.25, stokes="QU", oversampling=2, beam_arcmin=1.0, noise_uK_arcmin=1.0
)
OWN = ["--dataset", json.dumps(CONFIG.to_json())]


@pytest.fixture(name="skies", scope="module")
def skies_fixture():
    return simulate(CONFIG, "test", range(32))


@pytest.fixture(name="folder")
def folder_fixture(tmp_path, skies):
    np.save(tmp_path / "maps.npy", skies["lensed"])
    return tmp_path


def run(folder, *arguments, maps="maps.npy", output="kappa.npz"):
    reconstruct.main(["--maps", str(folder / maps), "--output", str(folder / output), *arguments])


def refused(capsys, folder, *arguments, **names):
    """The one line that the command ends with."""
    with pytest.raises(SystemExit) as end:
        run(folder, *arguments, **names)
    assert end.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    assert not list(folder.glob("kappa*"))
    return lines[0]


def correlation(folder, skies):
    with np.load(folder / "kappa.npz") as found:
        kappa = found["kappa"]
    return np.corrcoef(kappa.ravel(), skies["kappa"].ravel())[0, 1]


def test_the_quadratic_estimator_needs_no_more_than_a_config(folder, skies, capsys):
    run(folder, "--model", "qe", *OWN, output="new/kappa.npz")
    said, new = capsys.readouterr().out, folder / "new"
    assert f"{folder}/maps.npy: 32 patches; the model is for skies of lensing/small\n" in said
    assert "warning" not in said and f"page: {new}/kappa.html\n" in said
    assert correlation(new, skies) > 0.3
    assert {path.name for path in new.iterdir()} == {"kappa.npz", "kappa.html", "kappa.png"}
    page = (new / "kappa.html").read_text("utf-8")
    for text in ("QE MV, Wiener", "lensing/small", "within its scatter", "taken for granted"):
        assert text in page
    assert (new / "kappa.png").read_bytes().startswith(b"\x89PNG")


WITHOUT_FRAMEWORKS = """
import sys
for name in ("tensorflow", "tensorflow_datasets", "keras", "apache_beam", "pymaster", "astropy"):
    sys.modules[name] = None
from estimators.own_maps import files, reconstruction
from estimators.reports import own_maps_page
from trainer import reconstruct
reconstruct.open_model("pretrained:v11")[0]()
"""


def test_estimators_need_no_framework_of_networks():
    subprocess.run([sys.executable, "-c", WITHOUT_FRAMEWORKS], check=True, cwd=ROOT)


def test_the_iterated_estimator_is_fitted_to_simulated_skies(folder, skies, capsys, monkeypatch):
    monkeypatch.setattr(fitting, "examples_wanted", lambda config: 64)
    run(folder, "--model", "iterated", *OWN)
    said = capsys.readouterr().out
    assert said.startswith("fitting iterated to simulated skies of lensing/small\n")
    assert correlation(folder, skies) > 0.3


def test_a_version_has_the_estimator_that_comes_with_the_package(monkeypatch):
    monkeypatch.setattr("estimators.references.fitted_iterated", None)  # nothing is fitted
    by_name, _ = reconstruct.open_model("iterated", "lensing/v11")
    fitted, ensemble = reconstruct.open_model("pretrained:lensing/v11")
    assert by_name().basis == fitted().basis
    assert ensemble.config.name == "v11"
    errors = object()
    found = dataclasses.replace(pretrained("lensing/v11"), uncertainty=errors)
    monkeypatch.setattr("trainer.pretrained_models.pretrained", lambda name: found)
    assert reconstruct.open_model("pretrained:v11")[0]().uncertainty is errors


@pytest.fixture(name="workdir", scope="module")
def workdir_fixture(tmp_path_factory):
    """A run of a network with its first weights, whose errors are known."""
    workdir = tmp_path_factory.mktemp("run")
    task = Task(CONFIG, DATASET_VERSION)
    config = RunConfig(
        resolve("lensing/small", "", CONFIG, model="1x4-3", epochs=1), CONFIG, DATASET_VERSION
    )
    write_config(workdir, config)
    scaling = Scaling((0.0, 0.0), (4.0, 4.0), (0.0,), (0.1,))
    model = families.build("1x4-3", task, statistics(task, scaling), seed=0)
    errors = Uncertainty(
        CONFIG.sky,
        np.full(rings_of(CONFIG.sky).num, 1e-8),
        [1.0, 1e5],
        np.ones((len(LEVELS), 1)),
        [1.0, 2.0],
        50,
    )
    row = row_of(1, dict.fromkeys(COLUMNS, 0.5))
    save(model, workdir / BEST, Record(config.to_json(), (row,), errors.to_json()))
    return workdir


def test_a_run_estimates_with_its_network_and_its_own_errors(folder, workdir, skies, capsys):
    run(folder, "--model", str(workdir))
    assert "measured on the validation split" in capsys.readouterr().out
    trained = load_run(workdir)
    with np.load(folder / "kappa.npz") as found:
        kappa, std = found["kappa"], found["kappa_std"]
    np.testing.assert_allclose(kappa, trained.predict(skies["lensed"])[..., 0], rtol=1e-6)
    np.testing.assert_allclose(std, trained.uncertainty.pixel_std, rtol=1e-6)


def test_what_is_not_like_the_model_s_skies_is_warned_of_on_the_page_too(folder, skies, capsys):
    noisy = skies["lensed"][:2] + 2 * np.random.default_rng(0).standard_normal((2, 32, 32, 2))
    np.save(folder / "<b>maps.npy", noisy)
    run(folder, "--model", "qe", *OWN, maps="<b>maps.npy")
    (line, *_) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("warning: "))
    assert " times at " in line and " σ)" in line
    page = (folder / "kappa.html").read_text("utf-8")
    assert "The maps are not like the skies" in page and "&lt;b&gt;maps.npy" in page
    assert "<b>maps" not in page


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--model", "qe"], "--model qe needs --dataset, which says the maps' noise, beam and"),
        (["--model", "iterated"], "--model iterated needs --dataset"),
        (["--model", "pretrained:v11", *OWN], "--dataset is for --model qe and iterated"),
        (["--model", "pretrained:v99"], "no pretrained model for lensing/v99: there are"),
        (["--model", "v11"], "must be pretrained:v12 or another version, iterated, qe, or a run"),
        (["--model", "qe", "--dataset", "lensing/v99"], "'v99' is neither a version"),
        (["--model", "qe", "--dataset", '{"npix": 32}'], "config: the field 'name' is missing"),
        (["--model", "pretrained:v11"], "maps of 32 x 32 pixels, must be 128 x 128 of 2.344'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments, line, folder, capsys):
    assert line in refused(capsys, folder, *arguments)


def test_maps_are_refused_before_an_estimator_is_fitted(folder, skies, capsys, monkeypatch):
    monkeypatch.setattr("estimators.references.fitted_iterated", None)
    np.save(folder / "in_kelvin.npy", skies["lensed"] * 1e-6)
    line = refused(capsys, folder, "--model", "iterated", *OWN, maps="in_kelvin.npy")
    assert "they look like K" in line


def test_an_earlier_page_does_not_outlive_its_kappa(folder, workdir, monkeypatch):
    for name in ("kappa.html", "kappa.png"):
        (folder / name).write_text("of other maps")
    monkeypatch.setattr("estimators.reports.own_maps_page.write", None)  # as if killed there
    with pytest.raises(TypeError):
        run(folder, "--model", str(workdir))
    assert [path.name for path in folder.glob("kappa*")] == ["kappa.npz"]


def bordered(folder, value=0.0):
    """The file of a mask with a border of three pixels."""
    mask = np.full((32, 32), value)
    mask[3:-3, 3:-3] = 1
    np.save(folder / "mask.npy", mask)
    return mask, str(folder / "mask.npy")


def test_masked_maps_are_filtered_whatever_is_in_the_mask(folder, skies, capsys):
    mask, path = bordered(folder)
    maps = np.load(folder / "maps.npy")
    maps[:, mask == 0] = np.nan
    np.save(folder / "maps.npy", maps)
    run(folder, "--model", "qe", *OWN, "--mask", path)
    assert "warning" not in capsys.readouterr().out
    with np.load(folder / "kappa.npz") as found:
        kappa = found["kappa"]
    inside = kappa[:, 8:-8, 8:-8].ravel(), skies["kappa"][:, 8:-8, 8:-8].ravel()
    assert np.corrcoef(*inside)[0, 1] > 0.3


def test_nan_where_a_masked_versions_maps_are_zero_is_zero(tmp_path, capsys, monkeypatch):
    """Inside it is refused: with how many pixels, where, and what mends it."""
    monkeypatch.setattr(fitting, "examples_wanted", lambda config: 16)
    config = dataclasses.replace(CONFIG, name="masked", mask=Mask(border=0.08, edge=0.1))
    maps = simulate(config, "test", range(2))["lensed"]
    masked, kappas = ["--model", "qe", "--dataset", json.dumps(config.to_json())], []
    unseen = (maps == 0).all(axis=(0, 3))
    assert 0.1 < unseen.mean() < 0.5
    for value in (0, np.nan):
        maps[:, unseen] = value
        np.save(tmp_path / "maps.npy", maps)
        run(tmp_path, *masked, output=f"{value}.npz")
        with np.load(tmp_path / f"{value}.npz") as found:
            kappas.append(found["kappa"])
    np.testing.assert_array_equal(*kappas)
    maps[1, 10, 12:14, 0] = np.nan
    np.save(tmp_path / "maps.npy", maps)
    capsys.readouterr()
    line = refused(capsys, tmp_path, *masked)
    assert "Q of patch 1 of 2 in " in line and " has 2 of 1,024 pixels that are not " in line
    assert "in row 10 and columns 12 to 13: give --mask that is 0 there" in line


@pytest.mark.parametrize("other", ["without a mask", "of another mask"])
def test_maps_that_are_not_masked_as_the_models_are_refused(other, folder, capsys, skies):
    """By the estimators without Keras too, which are as wrong there as networks are."""
    config = dataclasses.replace(CONFIG, name="masked", mask=Mask(border=0.08, edge=0.1))
    if other == "of another mask":
        np.save(folder / "maps.npy", np.roll(skies["lensed"] * window_of(config)[..., None], 4, 1))
    line = refused(capsys, folder, "--model", "qe", "--dataset", json.dumps(config.to_json()))
    assert "maps.npy: map 0 of 32 " in line and "no other mask is known" in line


def test_a_mask_is_refused_by_models_that_know_none(folder, workdir, capsys):
    _, path = bordered(folder)
    line = refused(capsys, folder, "--model", str(workdir), "--mask", path)
    assert "--mask is for --model iterated and qe" in line


def test_a_mask_of_a_masked_model_is_its_own_or_refused():
    ensembles = {version: SkyEnsemble.of(KINDS[version]) for version in ("v13", "v14", "v15")}
    for version in ("v14", "v15"):
        ensemble = ensembles[version]
        own = window_of(ensemble.config)
        assert reconstruct.with_mask("runs/own", None, ensemble, own) == (None, ensemble)
        with pytest.raises(LensingError, match=rf"made for the mask of lensing/like_{version}: "):
            reconstruct.with_mask("runs/own", None, ensemble, np.ones_like(own))
    own[14:17, 14:17] = 0  # a source
    assert reconstruct.with_mask("runs/own", None, ensembles["v15"], own)[1]
    with pytest.raises(LensingError, match="of the pixels differ"):
        reconstruct.with_mask("runs/own", None, ensembles["v14"], own)
    with pytest.raises(LensingError, match="multiplies the signal beneath noise"):
        reconstruct.with_mask("runs/own", None, ensembles["v13"], own)


def test_a_bucket_is_no_folder_here(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as end:
        maps = str(folder / "maps.npy")
        reconstruct.main(["--model", "qe", *OWN, "--maps", maps, "--output", "gs://b/kappa.npz"])
    assert end.value.code == 2 and not (folder / "gs:").exists()
    assert "--output gs://b/kappa.npz: must be a file on a disk" in capsys.readouterr().err


def test_a_mask_beyond_one_is_named(folder, capsys):
    _, path = bordered(folder, 2.0)
    line = refused(capsys, folder, "--model", "qe", *OWN, "--mask", path)
    assert f"{path}: the mask is 2 in a pixel" in line


@pytest.mark.filterwarnings("error")
def test_maps_that_the_estimator_diverges_on_are_named(folder, workdir, skies, capsys, monkeypatch):
    monkeypatch.setattr(
        "trainer.runs.run.Run.predict", lambda self, maps: maps[..., :1] * np.float32(1e38) * 1e38
    )
    line = refused(capsys, folder, "--model", str(workdir))
    assert line.endswith(
        "for example 0 is not finite (NaN or infinite): the maps are not like skies of "
        "lensing/small, by their unit or their noise"
    )
