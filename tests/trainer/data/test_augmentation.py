import numpy as np

from lensing_tfds.symmetries import ORDER, transform
from trainer.data.augmentation import augment

NPIX = 5


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, NPIX, NPIX, 1)).astype(np.float32)


def test_the_maps_of_one_example_get_the_same_element_and_examples_get_their_own():
    lensed = noise(400)
    new, new_twice = augment((lensed, 2 * lensed), (("T",), ("kappa",)), 1, 2, 3)
    np.testing.assert_array_equal(new_twice, 2 * new)

    drawn = [
        next(i for i, s in enumerate(_symmetries(old)) if np.array_equal(s, new))
        for old, new in zip(lensed, new, strict=True)
    ]
    counts = np.bincount(drawn, minlength=8)
    # 50 of each are expected, with a standard deviation of 6.6.
    assert counts.min() > 20 and counts.max() < 80


def test_seed_epoch_and_batch_decide_the_elements():
    maps = (noise(64),)
    first, again, *others = (
        augment(maps, (("T",),), *numbers)[0]
        for numbers in ((1, 2, 3), (1, 2, 3), (0, 2, 3), (1, 0, 3), (1, 2, 0), (2, 1, 3))
    )
    np.testing.assert_array_equal(first, again)
    for other in others:
        assert not np.array_equal(first, other)


def _symmetries(image: np.ndarray) -> np.ndarray:
    return transform(np.stack([image] * ORDER), ("T",), np.arange(ORDER))
