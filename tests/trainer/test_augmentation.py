import itertools

import numpy as np

from trainer.augmentation import augment, transform

NPIX = 5


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    """The dihedral group's eight images, by NumPy: four rotations, with and without a mirror."""
    return [np.rot90(mirrored, turns) for mirrored in (image, image[:, ::-1]) for turns in range(4)]


def test_the_eight_elements_are_the_eight_symmetries_of_the_square():
    image = np.arange(NPIX**2, dtype=np.float32).reshape(NPIX, NPIX)
    maps = transform(np.stack([image[..., None]] * 8), np.arange(8)).numpy()[..., 0]
    assert {m.tobytes() for m in maps} == {s.tobytes() for s in symmetries(image)}
    for a, b in itertools.combinations(maps, 2):
        assert not np.array_equal(a, b)


def test_the_maps_of_one_example_get_the_same_element_and_examples_get_their_own():
    lensed = np.random.default_rng(0).normal(size=(400, NPIX, NPIX, 1)).astype(np.float32)
    changed, changed_twice = (x.numpy() for x in augment((lensed, 2 * lensed), np.array([1, 2])))
    np.testing.assert_array_equal(changed_twice, 2 * changed)

    drawn = [
        next(i for i, s in enumerate(symmetries(old[..., 0])) if np.array_equal(s, new[..., 0]))
        for old, new in zip(lensed, changed, strict=True)
    ]
    counts = np.bincount(drawn, minlength=8)
    # 50 of each are expected, with a standard deviation of 6.6.
    assert counts.min() > 20 and counts.max() < 80


def test_the_seed_decides_the_elements():
    maps = (np.random.default_rng(0).normal(size=(64, NPIX, NPIX, 1)).astype(np.float32),)
    first, again, other = (augment(maps, np.array(seed))[0] for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
