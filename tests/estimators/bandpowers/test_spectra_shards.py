"""Simulations that were stopped go on: what is finished and whole is kept, the rest made again."""

import pathlib

import numpy as np
import pytest

from estimators.bandpowers import spectra_shards
from estimators.bandpowers.sky_sets import FIDUCIAL, LOW
from estimators.bandpowers.spectra_shards import SKIES_A_SHARD, measure_sets, plan_of
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import size
from tests.estimators.bandpowers.conftest import CONFIG, Little, one_by_one

SETS = [(FIDUCIAL, 20), (LOW, 5)]


def test_stopped_at_any_shard_the_same_command_gives_the_same_bits(tmp_path):
    whole, _ = measure_sets(Little(), SETS, 2, str(tmp_path / "whole"), one_by_one)

    class Killed(Exception):
        pass

    def dies_in_the_third(write, plans):
        (plan,) = plans
        for number, spec in enumerate(plan.shards()):
            if number == 2:
                raise Killed
            write(spec, lambda count: None)

    folder = tmp_path / "stopped"
    with pytest.raises(Killed):
        measure_sets(Little(), SETS, 2, str(folder), dies_in_the_third)
    (folder / "fiducial-000006-000013.npy").write_bytes(b"half")
    found, summary = measure_sets(Little(), SETS, 2, str(folder), one_by_one)
    assert (summary.total.shards, summary.total.reused) == (4, 1)
    for skies, spectra in whole.items():
        for name, values in spectra.items():
            np.testing.assert_array_equal(found[skies][name], values)
    assert np.isfinite(whole[FIDUCIAL]["n0_n1"]).all()


def test_shards_of_another_estimate_or_other_numbers_are_not_taken(tmp_path):
    folder = str(tmp_path)
    measure_sets(Little(), SETS[1:], 2, folder, one_by_one)
    again, reused = measure_sets(Little(), SETS[1:], 2, folder, one_by_one)
    assert reused.total.reused == 1
    for source, rdn0 in ((Little(), 3), (Little(0.5), 3)):
        _, summary = measure_sets(source, SETS[1:], rdn0, folder, one_by_one)
        assert summary.total.reused == 0


def test_more_simulations_keep_the_skies_there_were(tmp_path):
    few, _ = measure_sets(Little(0.5), [(FIDUCIAL, 8)], 0, str(tmp_path), one_by_one)
    many, summary = measure_sets(Little(0.5), [(FIDUCIAL, 16)], 0, str(tmp_path), one_by_one)
    assert (summary.total.shards, summary.total.reused) == (2, 1)
    np.testing.assert_array_equal(many[FIDUCIAL]["auto"][:8], few[FIDUCIAL]["auto"])


def test_a_shard_that_was_not_written_is_named(tmp_path):
    with pytest.raises(LensingError, match=r"low-000000-000005.npy is missing: run the same"):
        measure_sets(
            Little(), SETS[1:], 2, str(tmp_path), lambda write, plans: one_by_one(write, [])
        )


def test_plans_have_shards_of_one_size():
    plan = plan_of(CONFIG, FIDUCIAL, 3 * SKIES_A_SHARD, "folder")
    assert plan.shard_lengths == [SKIES_A_SHARD] * 3


def test_estimates_that_are_not_finite_are_refused_and_leave_no_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(spectra_shards, "_made", {})
    with pytest.raises(LensingError, match="not finite"):
        measure_sets(Little(float("nan")), SETS[1:], 0, str(tmp_path), one_by_one)
    assert size(str(tmp_path / "low-000000-000005.npy")) is None
    assert list(pathlib.Path(tmp_path).glob("*.npy")) == []
