"""The networks of a version, listed."""

import dataclasses
import re
from types import SimpleNamespace

import pytest

from lensing_tfds import LensingConfig
from lensing_tfds.versions import VERSIONS
from tests.trainer.tasks import statistics, task
from trainer import models, pretrained_models
from trainer.models import Listed, listed, main, table
from trainer.networks import families
from trainer.settings.recipes import recipes_of


def test_a_version_has_its_recipes_default_first_and_every_familys_default_that_it_takes(capsys):
    main(["--dataset", "lensing/v3"])
    heads, *rows = capsys.readouterr().out.splitlines()
    assert heads.split()[:3] == ["model", "parameters", "batch"]
    assert heads.endswith("  memory of a step  FLOPs an example")
    assert len({len(line) for line in (heads, *rows)}) == 1
    names = [row.split()[0] for row in rows]
    studied = [recipe.model for recipe in recipes_of("v3")]
    assert names[: len(studied)] == studied and len(set(names)) == len(names)
    assert {name for family in families.FAMILIES.values() for name in family.known[:1]} <= {*names}
    _, parameters, batch, memory, _, flops, _ = rows[names.index("unet")].split()
    assert (parameters, batch) == ("217,897", "32")
    assert float(memory) > 100 and float(flops) > 100


def test_a_fitted_network_counts_what_the_package_has(monkeypatch):
    of = task(16)
    model = families.build("1x4-3", of, statistics(of), seed=0)
    monkeypatch.setattr(pretrained_models, "pretrained", lambda name: SimpleNamespace(model=model))
    monkeypatch.setattr(models, "_built", lambda name, task: model)
    of_version = {row.name: row for row in listed(VERSIONS["v11"])}
    assert next(iter(of_version)) == "iterated"
    assert of_version["iterated"].flops == of_version["unet"].flops
    own = dataclasses.replace(VERSIONS["v11"], name="own")
    of_own = {row.name: row for row in listed(own)}
    assert (of_own["iterated"].flops, of_own["iterated"].batch_size) == (None, 0)


def test_a_network_that_theory_does_not_hold_for_is_not_listed(monkeypatch):
    of = task(16)
    model = families.build("1x4-3", of, statistics(of), seed=0)
    monkeypatch.setattr(models, "_built", lambda name, task: model)
    silent = LensingConfig(name="silent", npix=64, lx=2.0, oversampling=2, stokes="QU")
    assert "iterated" not in {row.name for row in listed(silent)}


def test_what_is_not_known_is_a_dash():
    line = table([Listed("iterated", 10, 0, 2**20, None)]).splitlines()[1]
    assert re.fullmatch(r"iterated +10 +- +1 MiB +-", line)


def test_another_backend_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(SystemExit) as end:
        main(["--dataset", "lensing/v3"])
    assert end.value.code == 2
    assert "Keras's backend is jax: set KERAS_BACKEND=tensorflow" in capsys.readouterr().err
