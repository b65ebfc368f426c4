"""The order of an epoch: every example once, shuffled, read in stretches, the same for good."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.order import windows
from trainer.data.source import STREAM, Purpose, random_words


def order(number, block, at_once, seed=5, epoch=1, first=0):
    found = []
    for ranges, places in windows(number, block, at_once, seed, epoch, first):
        indices = list(itertools.chain(*ranges))
        found += [indices[place] for place in places]
    return found


SIZES = st.integers(1, 60), st.integers(1, 9), st.integers(1, 9)


@given(*SIZES)
def test_every_example_comes_once(number, block, at_once):
    assert sorted(order(number, block, at_once)) == list(range(number))


@given(*SIZES, st.integers(0, 60))
def test_an_epoch_that_is_begun_later_is_the_rest_of_it(number, block, at_once, first):
    whole = order(number, block, at_once)
    assert order(number, block, at_once, first=first) == whole[first:]


@given(*SIZES)
def test_what_is_read_together_follows_each_other(number, block, at_once):
    for ranges, _ in windows(number, block, at_once, 5, 1):
        assert len(ranges) <= at_once
        for part in ranges:
            assert part.start % block == 0 and part.stop == min(part.start + block, number)


def test_seeds_and_epochs_have_their_own_orders():
    orders = [tuple(order(50, 3, 4, *key)) for key in ((5, 1), (5, 2), (6, 1), (1, 5))]
    assert len(set(orders)) == 4


def test_batches_hold_examples_of_everywhere():
    """The mean index of a batch is as far off as the blocks that it is drawn from let it be."""
    number, block, at_once, batch = 64_000, 16, 64, 32
    means = np.reshape(order(number, block, at_once), (-1, batch)).mean(axis=1)
    # Variances of the mean of a window's blocks, and of a batch drawn from its examples.
    of_one = number**2 / 12
    expected = of_one / at_once + of_one / batch * (1 - batch / (block * at_once))
    # 63 windows know the first part to 18 %, which is 7 % of the sum: three times that.
    assert 0.8 < means.var() / expected < 1.2


def test_the_order_of_a_release_is_that_of_every_other_one():
    """Whoever changes these must count `STREAM` up: runs go on by them."""
    assert STREAM == 2
    assert order(20, 3, 2) == [
        *(17, 12, 16, 14, 13, 15, 4, 18, 5, 3, 19, 8, 2, 6, 0, 7, 1, 10, 11, 9)
    ]
    words = random_words(5, 1, Purpose.ELEMENTS, 2, 8)
    assert (words % 8).tolist() == [0, 4, 3, 6, 0, 4, 5, 1]
