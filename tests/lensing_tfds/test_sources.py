"""Examples by their place are the dataset's, in whichever process or thread."""

import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lensing_tfds import LensingConfig, LensingError, SimulatedSource, StoredSource, simulate
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.records.building import build

TQU = LensingConfig(
    "tqu", npix=16, lx=2.0, stokes="TQU", oversampling=2, unlensed_E=True, splits=2,
    noise_uK_arcmin=5.0,
    tensors=Tensors(r_min=1e-6, r_max=0.1),  # r is a number, not a map
    num_examples={"train": 37, "validation": 2, "test": 2},
)  # fmt: skip
LARGE = LensingConfig("large", npix=96, lx=5.0)  # simulated one by one

ORDER = [36, 0, 17, 16, 5, 0]


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def data_dir(request, tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp(request.param))
    build(TQU, folder, 2, request.param)
    return folder


@pytest.fixture(scope="module")
def expected():
    return simulate(TQU, "train", range(37))


@pytest.fixture(params=["stored", "simulated"])
def source(request, data_dir):
    if request.param == "stored":
        return StoredSource("lensing/tqu", data_dir=data_dir)
    return SimulatedSource(TQU)


def assert_same(found, expected, places):
    assert [example.keys() for example in found] == [expected.keys()] * len(places)
    for example, place in zip(found, places, strict=True):
        for name, values in expected.items():
            assert example[name].dtype == values.dtype
            np.testing.assert_array_equal(example[name], values[place])


def test_every_feature_of_the_dataset_bit_for_bit_one_by_one_and_together(source, expected):
    assert len(source) == 37
    assert_same([source[place] for place in ORDER], expected, ORDER)
    assert_same(source.__getitems__(ORDER), expected, ORDER)
    assert_same(list(source), expected, range(37))
    assert_same([source[-1], source[np.int64(3)]], expected, [36, 3])
    assert source.__getitems__([]) == []


def test_what_is_behind_the_end_ends_a_loop(source):
    for place in (37, -38):
        with pytest.raises(IndexError):
            source[place]
        with pytest.raises(IndexError):
            source.__getitems__([0, place])
    for place in ("lensed", 1.0, slice(3)):
        with pytest.raises(TypeError):
            source[place]


def test_examples_are_their_owners(source, expected):
    source[3]["kappa"][...] = 0
    assert_same([source[3]], expected, [3])


def test_a_slice_or_a_range_of_the_split_has_its_own_places(data_dir, expected):
    stored = StoredSource("tqu", "train[10:-5]", ("kappa", "index"), data_dir)
    simulated = SimulatedSource(TQU, "train", range(10, 32), ("kappa", "index"))
    wanted = {name: expected[name][10:32] for name in ("kappa", "index")}
    for source in (stored, simulated):
        assert len(source) == 22
        assert_same(list(source), wanted, range(22))


def test_indices_run_on_behind_any_split():
    far = SimulatedSource(LARGE, "test", range(2**62, 2**63 - 1, 2**61))
    expected = simulate(LARGE, "test", [2**62 + 2**61])
    assert (len(far), far[1]["index"]) == (2, 2**62 + 2**61)
    assert_same([far[1]], expected, [0])
    assert len(SimulatedSource(LARGE, "train", range(2**63 - 1))) == 2**63 - 1


def test_a_source_is_the_same_after_pickling(source, expected):
    source[0]
    copy = pickle.loads(pickle.dumps(source))
    assert repr(copy) == repr(source)
    assert_same([copy[place] for place in ORDER], expected, ORDER)
    assert len(pickle.dumps(source)) < 2e6  # a table of spectra, no maps


def test_others_have_other_names(data_dir):
    sources = [
        *(SimulatedSource(TQU), SimulatedSource(TQU, "test"), SimulatedSource(LARGE)),
        *(SimulatedSource(TQU, indices=range(9)), SimulatedSource(TQU, features=["kappa"])),
        *(StoredSource("tqu", data_dir=data_dir), StoredSource("tqu", "train[:9]", None, data_dir)),
    ]
    assert len({repr(source) for source in sources}) == len(sources)


def test_threads_may_share_a_source(source, expected):
    places = ORDER * 20
    with ThreadPoolExecutor(8) as pool:
        assert_same(list(pool.map(source.__getitem__, places)), expected, places)


def test_no_file_stays_open_and_no_thread_runs(source):
    """So that a fork shares neither."""

    def held():
        return {
            (kind, name) for kind in ("fd", "task") for name in os.listdir(f"/proc/self/{kind}")
        }

    before = held()
    for place in ORDER:
        source[place]
    source.__getitems__(ORDER)
    assert held() <= before  # others' may have been closed meanwhile


def _send(source, places, pipe):
    pipe.send(source.__getitems__(places))
    pipe.close()


def in_processes(method, source):
    """Examples of two processes that were started by a method."""
    context = multiprocessing.get_context(method)
    pipes, processes = [], []
    for places in ([36, 4], [5, 20]):
        ours, theirs = context.Pipe(duplex=False)
        processes.append(context.Process(target=_send, args=(source, places, theirs)))
        pipes.append(ours)
        processes[-1].start()
        theirs.close()
    found = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    return [*found[0], *found[1]]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_forked_processes_give_the_same_examples(source, expected):
    """As PyTorch's workers start, from a process that has used the source."""
    source[1]
    assert_same(in_processes("fork", source), expected, [36, 4, 5, 20])


class Both:
    """A stored and a simulating source as one, for which processes start once."""

    def __init__(self, *sources):
        self.sources = sources

    def __getitems__(self, places):
        first, second = (source.__getitems__(places) for source in self.sources)
        for one, other in zip(first, second, strict=True):
            assert_same([one], {name: values[None] for name, values in other.items()}, [0])
        return first


def test_spawned_processes_give_the_same_examples(tmp_path, expected):
    build(TQU, str(tmp_path), 2, "array_record")
    both = Both(StoredSource("tqu", data_dir=tmp_path), SimulatedSource(TQU))
    assert_same(in_processes("spawn", both), expected, [36, 4, 5, 20])


def test_damage_is_named_when_it_is_read(tmp_path):
    build(TQU, str(tmp_path), 1)
    source = StoredSource("tqu", data_dir=tmp_path)
    (path,) = tmp_path.glob("lensing/*/*/*train*-of-00001")
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    assert source[3]["index"] == 3
    with pytest.raises(LensingError, match=f"shard {path} is truncated or corrupted"):
        source[36]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"split": "tests"}, "unknown split 'tests'"),
        ({"features": "kappa"}, r"features of lensing/tqu are lensed, .*, index: give some"),
        ({"features": ("kappa", "phi")}, r"give some of them, .* not \('kappa', 'phi'\)"),
        ({"features": ()}, "give some of them"),
        ({"indices": range(-1, 5)}, r"indices are range\(-1, 5\): give a range"),
        ({"indices": range(0)}, "a range that is not empty"),
        ({"indices": range(2**63)}, "from 0 to 2"),
        ({"indices": [1, 2]}, r"indices are \[1, 2\]: give a range"),
        ({"indices": 5}, "indices are 5: give a range"),
    ],
)
def test_what_cannot_be_is_one_line(settings, line):
    with pytest.raises(LensingError, match=line):
        SimulatedSource(TQU, **settings)


def test_what_is_not_stored_is_one_line(data_dir, tmp_path):
    with pytest.raises(LensingError, match=f"lensing/v7 is not in {tmp_path}; build it with: "):
        StoredSource("v7", data_dir=tmp_path)
    with pytest.raises(LensingError, match="has no split 'trian'"):
        StoredSource("tqu", "trian", data_dir=data_dir)
    with pytest.raises(LensingError, match="give some of them"):
        StoredSource("tqu", features=["phi"], data_dir=data_dir)


def test_neither_needs_a_framework():
    """A process that only loads data imports no other's library."""
    program = (
        "import sys, lensing_tfds; lensing_tfds.SimulatedSource('v1')[0];"
        "assert not {'tensorflow', 'torch', 'grain', 'keras', 'array_record'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
