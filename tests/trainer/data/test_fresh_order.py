"""Which fresh sky comes when: none that is stored, none twice, and the same after a stop."""

import collections
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.fresh_order import FreshOrder

ORDERS = st.builds(
    FreshOrder,
    stored=st.integers(1, 2**40),
    examples_per_pass=st.integers(1, 150),
    reuse=st.integers(1, 9),
    seed=st.integers(0, 2**31 - 1),
    batch_size=st.integers(1, 12),
)


def looks(order: FreshOrder, steps: range) -> list[int]:
    """The skies of the examples from the first of the steps to the end of the last one's pass."""
    skies: list[int] = []
    for window, before in order.windows(steps):
        assert len(window.indices) <= order.largest_window
        skies += [window.indices[i % len(window.indices)] for i in range(before, window.examples)]
    return skies


@given(ORDERS)
def test_each_sky_is_seen_as_often_as_it_serves_and_none_is_stored_or_seen_in_two_passes(order):
    n = order.steps_per_pass
    first, second = (looks(order, range(number * n, (number + 1) * n)) for number in (0, 1))
    assert min(first) == order.first >= order.stored
    assert max(second) < 2**63
    for skies in (first, second):
        assert len(skies) == order.examples_per_pass
        seen = collections.Counter(skies)
        assert max(seen.values()) <= order.reuse
        assert 0 <= order.reuse * len(seen) - len(skies) < order.reuse
        assert sorted(seen) == list(range(min(seen), max(seen) + 1))
    assert max(first) + 1 == min(second)


@given(ORDERS, st.integers(0, 300))
def test_a_resumed_run_goes_on_with_the_sky_that_was_due(order, start):
    n = order.steps_per_pass
    whole_passes = range(start // n * n, start + 1)
    skipped = sum(map(order.examples_of, range(whole_passes.start, start)))
    assert looks(order, range(start, start + 1)) == looks(order, whole_passes)[skipped:]


@given(ORDERS)
def test_a_sky_is_not_seen_twice_in_a_step_where_a_pass_has_a_batch_of_skies(order):
    skies = iter(looks(order, range(order.steps_per_pass)))
    for step in range(order.steps_per_pass):
        batch = list(itertools.islice(skies, order.examples_of(step)))
        if order.largest_window >= order.batch_size:
            assert len(set(batch)) == len(batch)
    assert next(skies, None) is None


def test_seeds_share_no_sky_and_the_first_follows_the_stored_ones():
    orders = [FreshOrder(4000, 4000, 1, seed, 32) for seed in (0, 1, 2**31 - 1)]
    firsts = [order.first for order in orders]
    assert firsts[0] == 4000
    assert firsts[1] - firsts[0] == 2**31 and firsts[2] < 2**63 - 2**61


@pytest.mark.parametrize("reuse", [2, 4])
def test_a_sky_is_seen_again_after_four_batches(reuse):
    order = FreshOrder(0, 4096, reuse, 0, 16)
    places = collections.defaultdict(list)
    for place, sky in enumerate(looks(order, range(256))):
        places[sky].append(place)
    gaps = {b - a for seen in places.values() for a, b in itertools.pairwise(seen)}
    assert gaps == {4 * 16}
