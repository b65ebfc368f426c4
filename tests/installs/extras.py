"""Commands that each extra is to run, where it is installed alone."""

import json
import sys

TINY = {"name": "tiny", "npix": 32, "lx": 5.0}
TINY["num_examples"] = {"train": 24, "validation": 8, "test": 8}
CONFIG = json.dumps(TINY)

BUILD = ["tfds", "build", "lensing", "--imports", "lensing_tfds", "--config", CONFIG]
BUILD += ["--data_dir", "data"]
BUILD_ALONE = ["python", "-m", "lensing_tfds.build", "--config", CONFIG, "--data_dir", "data"]
GENERATE = ["python", "-m", "pipelines.generate", "--config", CONFIG, "--data_dir", "data"]
DATASET = ["--dataset", "lensing/tiny", "--data_dir", "data"]
TRAIN = ["-m", "trainer", *DATASET, "--workdir", "run", "--model", "1x2-3", "--epochs", "1"]
JUDGE = ["python", "-m", "trainer.evaluate", "--workdir", "run"]
SIMULATE = "import lensing_tfds; print(lensing_tfds.simulate('v1', 'test', [0])['kappa'].shape)"
SAVE = f"""
import lensing_tfds, numpy
numpy.save("maps.npy", lensing_tfds.simulate({TINY!r}, "test", [0])["lensed"])
"""
MAPS = ["--maps", "maps.npy", "--output", "kappa.npz"]
OWN_COSMOLOGY = """
from lensing_tfds import LensingConfig, simulate
config = LensingConfig("own", npix=16, lx=20.0, cosmology={"H0": 70.0})
print(simulate(config, "test", [0])["kappa"].shape)
"""
WITHOUT_TENSORFLOW = [  # on a dataset that is built
    ["python", *TRAIN],
    ["python", *TRAIN, "--fresh", "--workdir", "fresh", "--simulators", "1"],
    JUDGE,
    [*JUDGE, "--split", "train", "--checks", "--figures"],  # eight are too few for the checks
    ["python", "-m", "trainer.compare", "run", "run"],
    ["python", "-c", SAVE],
    ["python", "-m", "trainer.reconstruct", "--model", "run", *MAPS],
]

EXTRAS = {
    "": [["python", "-c", SIMULATE]],
    "worker": [BUILD_ALONE],
    "tfds": [BUILD, ["python", "-m", "pipelines.verify", *DATASET]],
    "pipelines": [
        GENERATE,
        ["python", "-m", "pipelines.verify", *DATASET],
        ["python", "-m", "pipelines.croissant", *DATASET],
        ["python", "-m", "pipelines.export", *DATASET, "--format", "parquet", "--output", "files"],
        [
            "python",
            "-m",
            "pipelines.protocol",
            "--dataset",
            "lensing/v11",
            "--other_skies",
            "skies",
        ],
        ["python", "-m", "pipelines.validate", *DATASET],
        ["python", "-m", "pipelines.card", *DATASET, "--output", "cards"],
        [sys.executable, *TRAIN],  # here, where all is installed: a network from another machine
        ["python", "-m", "pipelines.predict", "--workdir", "run", "--output", "predictions"],
    ],
    "trainer": [
        BUILD,
        *WITHOUT_TENSORFLOW,
        ["python", "-m", "trainer.models", *DATASET],
        ["python", "-m", "trainer.export", "--workdir", "run", "--output", "served"],
        ["python", "-m", "trainer.delens", "--estimator", "qe", "--dataset", "lensing/v11"]
        + ["--max_examples", "2", "--output", "delensed"],
    ],
    "tuning": [
        BUILD,
        ["python", "-m", "tuning", *DATASET, "--workdir", "search", "--tuner", "random"]
        + ["--max_trials", "1", "--max_epochs", "1"],
        ["python", "-m", "tuning.report", "--workdir", "search"],
    ],
    "buckets": [["python", "-c", "import gcsfs, lensing_tfds, s3fs"]],
    "fits": [["python", "-c", "import astropy.io.fits, lensing_tfds"]],
    "sacc": [
        ["python", "-m", "trainer.bandpowers", "--estimator", "qe", "--dataset", CONFIG]
        + ["--output", "bandpowers", "--bands", "100,1000", "--simulations", "64"]
        + ["--scaled_simulations", "2", "--rdn0_simulations", "2", "--max_examples", "2"]
    ],
    "camb": [["python", "-c", OWN_COSMOLOGY]],
    "dask": [[*GENERATE, "--runner", "DaskRunner"]],
    "gcp": [["python", "-c", "import apache_beam.runners.dataflow.internal.apiclient"]],
    "jax": [BUILD_ALONE, *(["env", "KERAS_BACKEND=jax", *c] for c in WITHOUT_TENSORFLOW)],
    "all": [BUILD, ["python", "-m", "trainer.models", *DATASET]],
}
NOT_HERE = {
    "networks": "has no backend: `jax`, `torch` and `trainer` install it with one",
    "namaster": "needs a compiler: `make install` builds it",
    "torch": "5 GB: `make test-backends` installs it",
    "test": "for development: `make install` installs it",
    "dev": "for development: `make install` installs it",
    "docs": "for development too: `make docs` needs it",
}
