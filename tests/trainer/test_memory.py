import pytest

from trainer.memory import estimate_memory
from trainer.networks.models import build_model


def test_activations_are_counted_by_hand():
    # Input 10x10x1, two layers 10x10x8, output 10x10x1: 100 (1 + 8 + 8 + 1) floats are kept, and
    # the gradients of the two hidden layers, 100 (8 + 8) floats, exist together.
    model = build_model("2x8-3", (10, 10, 1), seed=0)
    estimate = estimate_memory(model, batch_size=4, optimizer="adam")
    assert estimate.activations == 100 * (18 + 16) * 4 * 4


def test_hires_keeps_four_times_the_pixels():
    plain = estimate_memory(build_model("6x64-3", (20, 20, 1), 0), 1, "adam").activations
    hires = estimate_memory(build_model("hires", (20, 20, 1), 0), 1, "adam").activations
    assert hires / plain == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(("optimizer", "slots"), [("adam", 2), ("sgd", 1)])
def test_parameters_gradients_and_moments_are_four_bytes_each(optimizer, slots):
    model = build_model("4x64-9", (10, 10, 1), seed=0)
    estimate = estimate_memory(model, batch_size=1, optimizer=optimizer)
    assert estimate.parameters == estimate.gradients == 4 * 116_609
    assert estimate.optimizer == slots * 4 * 116_609
    assert estimate.total == (2 + slots) * 4 * 116_609 + estimate.activations
