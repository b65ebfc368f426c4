"""Random numbers: Philox to the bit, normal to the accuracy of float32, one address one number."""

import numpy as np
import pytest
from scipy import stats

from lensing_tfds.sky import random_numbers
from lensing_tfds.sky.random_numbers import NormalStream


def draw(key, indices, field, size):
    normals = np.empty((len(indices), size), np.float32)
    NormalStream(key).fill(indices, field, normals)
    return normals


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_its_authors_known_answers(counter, key, expected):
    """The vectors for philox4x32-10 in Random123's `kat_vectors` (Salmon et al. 2011)."""
    words = random_numbers._philox(*map(np.uint64, counter), *map(np.uint32, key))
    assert " ".join(f"{int(word):08x}" for word in words) == expected


def test_the_counter_is_block_field_index_and_runs_go_through_its_blocks():
    """The 3rd run's words, of an index above 2^32, against Philox block by block."""
    key, index = np.array([5, 6], np.uint32), 7 * 2**32 + 8
    words = np.empty(256, np.uint32)
    random_numbers._philox_run(key, 3, np.uint32(2), np.uint64(index), words)
    for i in (0, 1, 63):
        counter = map(np.uint64, (3 * 64 + i, 2, 8, 7))
        assert tuple(words[i::64]) == random_numbers._philox(*counter, *key)


def test_box_muller_to_single_precision():
    """Against the transform written out in double precision, the extreme words included.

    Next to u = 1 the radius is the root of a small difference, where float32 is granular.
    """
    words = np.random.default_rng(0).integers(0, 2**32, (2000, 2, 128), dtype=np.uint32)
    words[0, 0] = np.arange(128)  # the smallest u: the largest numbers
    words[1, 0] = 2**32 - 1 - np.arange(128)
    words[2:4, 1] = [np.arange(128), 2**32 - 1 - np.arange(128)]
    numbers = np.empty((2000, 2, 128), np.float32)
    for run, into in zip(words, numbers, strict=True):
        random_numbers._box_muller(run.ravel(), into.ravel())
    u = (words[:, 0] + 0.5) / 2**32
    radius, quadrant = np.sqrt(-2 * np.log(u)), words[:, 1] >> 30
    # 30 bits from -1 to 1: the lowest as a two's complement, like the quadrant's angle.
    v = (words[:, 1] << np.uint32(2)).view(np.int32) / 2**31
    angle = np.pi / 4 * (1 + v)
    x = radius * np.cos(angle) * np.where(quadrant & 2, -1, 1)
    y = radius * np.sin(angle) * np.where(quadrant & 1, -1, 1)
    error = np.abs(numbers - np.stack([x, y], axis=1)).max(axis=1)
    assert np.isfinite(numbers).all()
    assert error[u < 0.999].max() < 2e-6 and error.max() < 3e-4
    assert 6.6 < np.abs(numbers).max() < 6.8


def test_normals_are_standard_normal_and_independent():
    """4e6 numbers: moments within five standard errors, Kolmogorov–Smirnov, the tails' share."""
    numbers = draw((3,), range(1000), 1, 4001).astype(float)
    x = numbers.ravel()
    n = x.size
    assert abs(x.mean()) < 5 / np.sqrt(n)
    assert abs(x.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((x**3).mean()) < 5 * np.sqrt(15 / n)
    assert abs((x**4).mean() - 3) < 5 * np.sqrt(96 / n)
    assert stats.kstest(x[:500_000], "norm").pvalue > 1e-4
    for threshold in (3, 4):
        expected = n * 2 * stats.norm.sf(threshold)
        assert abs(np.sum(np.abs(x) > threshold) - expected) < 5 * np.sqrt(expected)
    # The words of a block are 64 apart, the pairs of Box & Muller 128, the runs 256.
    for lag in (1, 64, 128, 192, 256):
        product = numbers[:, lag:] * numbers[:, :-lag]
        assert abs(product.mean()) < 5 / np.sqrt(product.size), lag
        squares = (numbers[:, lag:] ** 2 - 1) * (numbers[:, :-lag] ** 2 - 1)
        assert abs(squares.mean()) < 5 * 2 / np.sqrt(squares.size), lag
    across = (numbers[1:] * numbers[:-1]).mean()  # one index and the next
    assert abs(across) < 5 / np.sqrt(n)


def test_streams_are_addressed_and_never_shared():
    key, index, field = (0, 1, 0, 0, 0), 5, 0
    reference = draw(key, [index], field, 64)
    for other in (
        draw((0, 1, 0, 0, 1), [index], field, 64),  # another split
        draw((1, 1, 0, 0, 0), [index], field, 64),  # another seed
        draw((0, 1, 0, 1, 0), [index], field, 64),  # another version of the dataset
        draw(key, [6], field, 64),
        draw(key, [index + 2**32], field, 64),
        draw(key, [index], 1, 64),
        draw(key, [index], 2, 64),
    ):
        assert not np.intersect1d(other, reference).size


def test_numbers_depend_on_nothing_but_their_address():
    """Not on what else is drawn, in what order, or how many."""
    key = (0, 2, 0, 0, 0)
    indices = [2**63 - 1, 4, 0, 2**40]
    together = draw(key, indices, 1, 1000)
    for row, index in zip(together, indices, strict=True):
        for size in (1000, 999, 513, 512, 256, 255, 1):
            np.testing.assert_array_equal(draw(key, [index], 1, size)[0], row[:size])
