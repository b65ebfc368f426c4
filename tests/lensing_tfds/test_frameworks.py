"""PyTorch's DataLoader and Grain take the sources as they are, with workers of every kind.

PyTorch is not in CI (5 GB): `make test-backends` runs this with it.
"""

import numpy as np
import pytest

from lensing_tfds import LensingConfig, SimulatedSource, StoredSource, simulate
from lensing_tfds.records.building import build

CONFIG = LensingConfig(
    "small", npix=8, lx=5.0, num_examples={"train": 12, "validation": 1, "test": 1}
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    build(CONFIG, str(folder), 2)
    return StoredSource("small", data_dir=folder)


@pytest.fixture(scope="module")
def expected():
    return simulate(CONFIG, "train", range(12))


@pytest.fixture(params=["stored", "simulated"])
def source(request, stored):
    return stored if request.param == "stored" else SimulatedSource(CONFIG)


def assert_all(batches, expected, number=12):
    """All examples came, each once and whole, in batches of arrays."""
    places = [int(index) for batch in batches for index in batch["index"]]
    assert sorted(places) == list(range(number))
    for name, values in expected.items():
        found = np.concatenate([np.asarray(batch[name]) for batch in batches])
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values[places])
    return places


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
@pytest.mark.parametrize(
    ("workers", "method"), [(0, None), (2, "fork"), (2, "spawn")], ids=["0", "fork", "spawn"]
)
def test_pytorchs_loader_gives_every_example_once(source, expected, workers, method):
    torch = pytest.importorskip("torch")
    loader = torch.utils.data.DataLoader(
        source,
        batch_size=4,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=method,
        generator=torch.Generator().manual_seed(1),
    )
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert batches[0]["kappa"].dtype == torch.float32
    assert batches[0]["index"].dtype == torch.int64
    places = assert_all(batches, expected)
    assert places != sorted(places)


def test_grains_dataset_gives_every_example_once(source, expected):
    grain = pytest.importorskip("grain")
    from grain.sources import RandomAccessDataSource

    assert isinstance(source, RandomAccessDataSource)
    batches = grain.MapDataset.source(source).shuffle(seed=0).batch(4)
    places = assert_all(list(batches), expected)
    assert places != sorted(places)
    threads = grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)
    assert assert_all(list(batches.to_iter_dataset(threads)), expected) == places


def test_grains_loader_takes_up_where_it_was(source, expected):
    grain = pytest.importorskip("grain")
    from grain.samplers import IndexSampler
    from grain.transforms import Batch

    def start():
        sampler = IndexSampler(12, shuffle=True, seed=3, num_epochs=1)
        loader = grain.DataLoader(data_source=source, sampler=sampler, operations=[Batch(4)])
        return iter(loader)

    whole = list(start())
    assert_all(whole, expected)
    first = start()
    next(first)
    again = start()
    again.set_state(first.get_state())
    for found, wanted in zip(again, whole[1:], strict=True):
        np.testing.assert_array_equal(found["kappa"], wanted["kappa"])
