"""What a card says was measured is what the estimators do on the dataset's examples."""

import dataclasses

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.judge import baselines_of
from estimators.quadratic.measured import MIN_EXAMPLES
from lensing_tfds import LensingConfig, simulate
from lensing_tfds.sky.binning import Bins
from pipelines.cards import prose, reference
from pipelines.cards.measured import measured
from tests.estimators import skies

CONFIG = LensingConfig(
    "small", npix=32, lx=32 * 3 / 60, stokes="QU", oversampling=4, beam_arcmin=2.0,
    noise_uK_arcmin=1.0, num_examples={"train": 64, "validation": 2, "test": 30},
)  # fmt: skip


@dataclasses.dataclass
class Simulated:
    """A dataset that is not built."""

    config: LensingConfig

    @property
    def ensemble(self):
        return SkyEnsemble.of(self.config)

    def num_examples(self, split):
        return self.config.num_examples[split]

    def batches(self, split, number):
        for start in range(0, number, 16):
            yield simulate(self.config, split, range(start, min(start + 16, number)))


@pytest.fixture(name="found", scope="module")
def found_fixture():
    return measured(Simulated(CONFIG), Bins.between([500, 1000, 2000], CONFIG.sky))


def test_the_numbers_are_those_of_the_estimates(found):
    """κ and estimates put together, and modes of the whole plane counted one by one."""
    assert [one.group for one in found] == ["quadratic", "iterated"]
    assert {one.num_examples for one in found} == {30}
    test = simulate(CONFIG, "test", range(30))
    names = {e.name: e for e in baselines_of(Simulated(CONFIG), "test")}
    ell = skies.grid_multipoles(32, CONFIG.side)
    for one, name in zip(found, ("qe_mv_wiener", "qe_iterated_wiener"), strict=True):
        estimate = names[name].kappa(test["lensed"], test["index"])
        kappa = test["kappa"][..., 0]
        expected = np.corrcoef(kappa.ravel(), estimate.ravel())[0, 1]
        assert one.map_correlation.value == pytest.approx(expected, abs=1e-5)
        assert 0 < one.map_correlation.error < 0.05
        true, guess = (np.fft.fft2(maps) for maps in (kappa, estimate))
        for number, (low, high) in enumerate(((500, 1000), (1000, 2000))):
            ring = (ell >= low) & (ell < high)
            cross = np.sum((true * guess.conj()).real[:, ring])
            norm = np.sum(np.abs(true[:, ring]) ** 2) * np.sum(np.abs(guess[:, ring]) ** 2)
            assert one.rho.value[number] == pytest.approx(cross / np.sqrt(norm), abs=1e-4)


def test_they_stand_beside_theory(found):
    theory = dataclasses.replace(reference.reference(SkyEnsemble.of(CONFIG)), measured=[])
    assert [row[0] for row in theory.rows()] == ["EB", "all pairs", "iterated, forecast"]
    assert theory.map_rho["all pairs"] < theory.map_rho["iterated, forecast"]
    shown = dataclasses.replace(
        theory,
        measured=[dataclasses.replace(found[1], rho=found[1].rho._replace(value=theory.rho["EB"]))],
    )
    eb, *_, last = shown.rows()
    assert last[0] == "iterated QE, measured" and last[2:] == eb[2:]
    rho = found[1].map_correlation
    assert last[1] == f"{rho.value:.3f} ± {rho.error:.3f}"
    assert "the first 30 test examples (QE MV: filtered by theory" in prose.measured(found)


def test_of_too_few_examples_nothing_is_measured():
    fewer = {"train": MIN_EXAMPLES - 1, "validation": 2, "test": 30}
    few = dataclasses.replace(CONFIG, num_examples=fewer)
    assert measured(Simulated(few), Bins.between([500, 1000], CONFIG.sky)) == []
    assert prose.measured([]) == ""
