"""What was fitted once is read again, bit by bit, and never where another fit is wanted."""

import dataclasses
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from estimators import kept_stages, references
from estimators.dataset import Dataset
from estimators.ensemble import SkyEnsemble
from estimators.iterated.iterated_estimator import Stage
from estimators.judge import baselines_of
from estimators.kept_stages import KeptStages, path_beside
from lensing_tfds import release
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.configs import LensingConfig
from lensing_tfds.records.seals import sealed, unsealed
from lensing_tfds.simulation import simulate

SURVEY = LensingConfig(
    name="survey", npix=32, lx=1.0, oversampling=2, beam_arcmin=1.0, noise_uK_arcmin=1.0,
    stokes="QU",
)  # fmt: skip
OWN_PIXELS = LensingConfig(name="own", npix=16, lx=10.0, kappa_exaggeration_factor=10.0)
MASKED = dataclasses.replace(
    SURVEY, name="masked", lx=32 * 2.5 / 60, mask=Mask(edge=0.3, multiplies="signal")
)
CUT_OUT = dataclasses.replace(SURVEY, name="cut", padding=2.0)
"""Of spectra that are measured, and with a mean field."""

STAGES = (Stage(np.arange(6.0).reshape(2, 3)), Stage(np.full((3, 3), 1 / 3), damped=True))


def skies(config, start=0, stop=64, together=32):
    for first in range(start, stop, together):
        yield simulate(config, "train", range(first, min(first + together, stop)))


def seal(config=SURVEY, examples=None, **ensemble):
    of = dataclasses.replace(SkyEnsemble.of(config), **ensemble)
    few = skies(config, stop=4, together=2) if examples is None else examples
    return KeptStages.of("nowhere", of, few).seal


def fitted(config, path, number=64):
    held_out = lambda: skies(config, stop=number)  # noqa: E731
    return references.fitted_iterated(SkyEnsemble.of(config), held_out, "some", str(path))


@pytest.fixture(name="count")
def count_fixture(monkeypatch):
    """Fits, as they are made."""
    made, fit = [], references.fit
    monkeypatch.setattr(references, "fit", lambda *a, **k: made.append(a[0].name) or fit(*a, **k))
    return made


@pytest.mark.parametrize("config", [SURVEY, OWN_PIXELS, MASKED, CUT_OUT], ids=lambda c: c.name)
def test_an_estimate_from_what_was_kept_is_the_same_bit_by_bit(config, tmp_path, count, capsys):
    path = tmp_path / "iterated-train.json"
    fresh = fitted(config, path)
    assert count == [config.name] and path.exists() and capsys.readouterr() == ("", "")
    kept = fitted(config, path)
    assert count == [config.name]
    (line,) = capsys.readouterr().out.splitlines()
    assert line == f"the iterated estimator was fitted before: its stages are read from {path}"
    batch = simulate(config, "test", range(3))
    estimate = fresh.predict(batch)
    assert estimate.std() > 0
    np.testing.assert_array_equal(estimate, kept.predict(batch))
    assert dataclasses.replace(kept, predict=fresh.predict) == fresh  # its basis too


def test_every_number_of_a_stage_is_kept(tmp_path):
    drawn = np.random.default_rng(0)
    gains, power, residual_b, filters = (drawn.normal(size=(4, 9)) for _ in range(4))
    mean_field = drawn.normal(size=(8, 5)) + 1j * drawn.normal(size=(8, 5))
    stage = Stage(gains, residual_b[0], power[0], mean_field, filters, damped=True)
    kept = KeptStages(str(tmp_path / "kept.json"), "seal")
    kept.write([stage, *STAGES])
    for found, expected in zip(kept.read(), [stage, *STAGES], strict=True):
        for field in dataclasses.fields(Stage):
            one, other = (np.asarray(getattr(s, field.name)) for s in (found, expected))
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_array_equal(one, other)


def test_the_seal_is_of_all_that_a_fit_depends_on(monkeypatch):
    theory = SkyEnsemble.of(SURVEY).theory
    first, *_ = skies(SURVEY, stop=4)
    one_bit = first["kappa"].copy()
    one_bit[3, 2, 1] = np.nextafter(one_bit[3, 2, 1], 1)
    other_kappa = np.concatenate([theory.kappa[:-1], theory.kappa[-1:] * 2])
    found = {
        "the same": seal(),
        "config": seal(dataclasses.replace(SURVEY, noise_uK_arcmin=2.0), skies(SURVEY, 0, 4, 2)),
        "split": seal(examples=[simulate(SURVEY, "test", range(4))]),
        "number": seal(examples=skies(SURVEY, stop=2, together=2)),
        "order": seal(examples=[{name: x[::-1] for name, x in first.items()}]),
        "batches": seal(examples=[first]),
        "κ": seal(examples=[first | {"kappa": one_bit}]),
        "masks": seal(examples=[first | {"mask": np.ones_like(first["kappa"])}]),
        "theory": seal(theory=dataclasses.replace(theory, kappa=other_kappa)),
        "mask": seal(mask=np.ones((32, 32))),
    }
    with monkeypatch.context() as patch:
        patch.setattr(release, "__version__", "99.0")
        found["release"] = seal()
    with monkeypatch.context() as patch:
        version = importlib.metadata.version
        patch.setattr(
            importlib.metadata, "version", lambda n: "99.0" if n == "ducc0" else version(n)
        )
        found["libraries"] = seal()
    with monkeypatch.context() as patch:
        patch.setattr(kept_stages, "_CODE", "another")
        found["code"] = seal()
    assert len(set(found.values())) == len(found), found
    assert found["the same"] == seal()


def test_the_seal_is_of_the_code_of_every_module_that_is_imported(tmp_path, monkeypatch):
    ours = ("estimators", "lensing_tfds")
    files = [
        Path(module.__file__)
        for name, module in sys.modules.items()
        if name.split(".")[0] in ours and name not in ours and module.__file__
    ]
    assert len(files) > 50
    for file in files:
        assert any(file.is_relative_to(package) for package in kept_stages._PACKAGES)
    package = tmp_path / "estimators"
    (package / "iterated").mkdir(parents=True)
    (file := package / "iterated/fitting.py").write_text("MOST_STAGES = 6\n")
    monkeypatch.setattr(kept_stages, "_PACKAGES", (package,))
    digests = [kept_stages._code_digest()]
    file.write_text("MOST_STAGES = 7\n")
    digests.append(kept_stages._code_digest())
    file.rename(package / "fitting.py")
    digests.append(kept_stages._code_digest())
    assert len(set(digests)) == 3


@pytest.mark.parametrize("change", ["code", "config", "number"])
def test_what_was_fitted_to_something_else_is_fitted_again(
    change, tmp_path, monkeypatch, count, capsys
):
    path = tmp_path / "iterated-train.json"
    fitted(OWN_PIXELS, path)
    before = path.read_bytes()
    config, number = OWN_PIXELS, 64
    if change == "code":
        monkeypatch.setattr(kept_stages, "_code_digest", lambda: "another")
        monkeypatch.setattr(kept_stages, "_CODE", "another")
    elif change == "config":
        config = dataclasses.replace(OWN_PIXELS, seed=1)
    else:
        number = 63
    fitted(config, path, number)
    assert len(count) == 2
    (line,) = capsys.readouterr().err.splitlines()
    reason = "is of other examples, settings or code: the iterated estimator is fitted again"
    assert line == f"{path} {reason}"
    assert path.read_bytes() != before
    fitted(config, path, number)
    assert len(count) == 2


@pytest.mark.parametrize("damage", ["flipped", "cut", "unsealed", "no stages", "folder", "binary"])
def test_a_damaged_file_is_said_in_a_line_and_made_anew(damage, tmp_path, count, capsys):
    path = tmp_path / "iterated-train.json"
    fitted(OWN_PIXELS, path)
    good = path.read_bytes()
    fields = unsealed(good)
    place = good.index(b'"base64": "') + 20
    digit = b"A" if good[place : place + 1] != b"A" else b"B"
    contents = {
        "flipped": good[:place] + digit + good[place + 1 :],
        "cut": good[: len(good) // 2],
        "unsealed": json.dumps(fields).encode(),
        "no stages": sealed({name: x for name, x in fields.items() if name != "stages"}),
        "binary": b"\x89\xff\x00",
    }
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(contents[damage])
    fitted(OWN_PIXELS, path)
    assert len(count) == 2
    lines = capsys.readouterr().err.splitlines()
    assert str(path) in lines[0] and lines[0].endswith(": the iterated estimator is fitted again")
    if damage == "folder":
        assert len(lines) == 2 and lines[1].startswith("the fitted iterated estimator is not kept")
    else:
        assert len(lines) == 1 and path.read_bytes() == good


def test_where_nothing_can_be_written_it_goes_on_with_a_line(tmp_path, count, capsys):
    path = tmp_path / "nothing" / "iterated-train.json"
    assert "stages fitted on 64 of some" in fitted(OWN_PIXELS, path).basis
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"the fitted iterated estimator is not kept: cannot write {path}: ")


def test_what_code_that_is_changed_meanwhile_fits_is_not_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kept_stages, "_code_digest", lambda: "changed")
    fitted(OWN_PIXELS, path := tmp_path / "iterated-train.json")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("is not kept: the package's code was changed meanwhile")
    assert not path.exists() and not list(tmp_path.iterdir())


def test_the_judge_keeps_what_it_fits_in_the_datasets_folder(tiny, stored, count, capsys):
    dataset = Dataset(tiny, stored)
    for split, other in (("test", "train"), ("validation", "train"), ("train", "validation")):
        path = Path(stored.data_path, f"iterated-{other}.json")
        names = [one.name for one in baselines_of(dataset, split)]
        assert "qe_iterated_wiener" in names and path.exists()
    assert count.count("tiny") <= 2
    assert "iterated-train.json" in capsys.readouterr().out


def test_nothing_is_kept_in_a_bucket_unasked():
    assert path_beside("s3://somebody/lensing/v8/2.0.0", "train") is None
