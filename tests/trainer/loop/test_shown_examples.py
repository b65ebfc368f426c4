"""TensorBoard shows what the network of an epoch estimates from the first validation examples."""

import dataclasses

import keras
import numpy as np
import pytest

from estimators.power_spectra import choose_bands, measure
from lensing_tfds.records.reading import evaluation_batches
from trainer.runs.run import load_run
from trainer.train import train

tf = pytest.importorskip("tensorflow")
accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

from trainer.loop.shown_examples import ShownExamples, correlation, panels  # noqa: E402


@pytest.fixture(name="shown", scope="module")
def shown_fixture(config, tmp_path_factory):
    """A run of one epoch, with averages that are what is judged."""
    workdir = tmp_path_factory.mktemp("shown") / "run"
    averaged = dataclasses.replace(config, epochs=1, ema_momentum=0.9)
    train(averaged, workdir, lambda line: None)
    run = load_run(workdir)
    events = accumulator.EventAccumulator(str(workdir / "tensorboard" / "examples"))
    events.Reload()
    batch = next(iter(evaluation_batches(run.dataset.stored, "validation[:8]", 8)))
    return run, events, batch["kappa"][..., 0], run.predict(batch["lensed"])[..., 0]


def test_maps_are_those_of_the_first_examples_by_the_network_that_is_kept(shown):
    _, events, truth, estimate = shown
    (tag,) = (tag for tag in events.Tags()["tensors"] if tag.startswith("true κ"))
    (event,) = events.Tensors(tag)
    image = tf.io.decode_png(event.tensor_proto.string_val[2]).numpy()
    expected = panels(truth[:3], estimate[:3], np.abs(truth[:3]).max())
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 2  # sums in another order


def test_rho_is_of_the_judges_bands(shown):
    run, events, truth, estimate = shown
    bands = choose_bands(run.lensing.sky)
    expected = correlation(measure(estimate, truth, bands))
    found = {
        tag: float(tf.make_ndarray(events.Tensors(tag)[0].tensor_proto))
        for tag in events.Tags()["tensors"]
        if tag.startswith("rho_L/")
    }
    assert sorted(found) == [f"rho_L/L={ell:05.0f}" for ell in bands.ell]
    np.testing.assert_allclose([found[tag] for tag in sorted(found)], expected, atol=1e-4)


def test_a_panel_has_one_scale_and_rows_that_go_upwards():
    truth = np.zeros((1, 75, 75))
    truth[0, 0] = 1.0  # the lowest row of the sky is the lowest of the picture
    image = panels(truth, 0 * truth, 1.0)
    red, white, blue = (np.array(c) for c in ([103, 0, 31], [247, 247, 246], [5, 48, 97]))
    assert image.shape == (150, 3 * 150 + 8, 3)
    np.testing.assert_array_equal(image[-1, 0], red)
    np.testing.assert_array_equal(image[-1, -1], blue)  # estimate less truth
    for pixel in (image[0, 0], image[-1, 200], image[0, -1]):
        assert np.abs(pixel.astype(int) - white).max() <= 1
    assert (image[:, 150:154] == 255).all()


def test_epochs_for_which_there_is_no_time_are_left_out(shown, tmp_path, monkeypatch):
    run, *_ = shown
    now = [0.0]
    monkeypatch.setattr("trainer.loop.shown_examples.time.monotonic", lambda: now[0])

    class Slow(keras.Model):
        def call(self, maps):
            now[0] += 2.0  # seconds
            return maps

    model = Slow()
    shown = ShownExamples(tmp_path, run.dataset.stored)
    shown.set_model(model)
    shown.on_train_begin()
    for epoch in range(4):
        now[0] += 70.0
        shown.on_epoch_end(epoch)
    shown.on_train_end()
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    tag = next(tag for tag in events.Tags()["tensors"] if tag.startswith("rho_L/"))
    # 2 s are more than a hundredth of 142 s, and less of 212 s; then there are 4 s.
    assert [event.step for event in events.Tensors(tag)] == [0, 2]
