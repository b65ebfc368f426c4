import os
import signal

import hypothesis
import pytest

# Test processes run side by side: threads of NaMaster's in each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# A shell that runs the tests in the background has them ignore Ctrl-C, nohup a hangup, and so would
# every program that a test starts to stop it; a handler that does nothing is not inherited.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

# No deadlines: a busy machine is not a bug. The same examples everywhere: failures can be repeated.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")


# The package is imported in the fixtures, after the environment is set.
@pytest.fixture(scope="session")
def tiny():
    """The config of the dataset in `data_dir`."""
    from lensing_tfds.configs import LensingConfig

    return LensingConfig(
        name="tiny",
        npix=16,
        lx=10.0,
        kappa_exaggeration_factor=10.0,
        seed=3,
        num_examples={"train": 50, "validation": 10, "test": 11},
    )


@pytest.fixture(scope="session")
def data_dir(tiny, tmp_path_factory) -> str:
    """A folder with `lensing/tiny`, in three shards a split."""
    from lensing_tfds.records.building import build

    folder = str(tmp_path_factory.mktemp("data"))
    build(tiny, folder, num_shards=3)
    return folder


@pytest.fixture(scope="session")
def stored(tiny, data_dir):
    """`lensing/tiny`, opened."""
    from lensing_tfds.records.datasets import open_dataset

    return open_dataset(tiny, data_dir)


@pytest.fixture(scope="session")
def polarized(data_dir):
    """T, Q, U and unlensed E of a small survey, opened."""
    from lensing_tfds.configs import LensingConfig
    from lensing_tfds.records.building import build
    from lensing_tfds.records.datasets import open_dataset

    survey = LensingConfig(
        name="polarized",
        npix=16,
        lx=2.0,
        stokes="TQU",
        oversampling=2,
        beam_arcmin=10.0,
        noise_uK_arcmin=1.0,
        unlensed_E=True,
        kappa_exaggeration_factor=3.0,
        num_examples={"train": 50, "validation": 10, "test": 11},
    )
    build(survey, data_dir)
    return open_dataset(survey, data_dir)


@pytest.fixture(scope="session")
def unmeasured():
    """Spares trainings the measuring of their pace."""
    from tests.paces import given

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.loop.planning.measure_pace", given)
        yield


@pytest.fixture(scope="session")
def s3_server():
    """The address of moto's S3 server, over HTTP on this machine."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """An S3 client, whose server is found as everywhere: by the environment."""
    import s3fs
    from etils.epath.backend import fsspec_backend

    def forget_servers():  # clients, and epath with them, keep the one that they were made for
        s3fs.S3FileSystem.clear_instance_cache()
        fsspec_backend._get_filesystem.cache_clear()

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    forget_servers()
    yield s3fs.S3FileSystem()
    forget_servers()
