"""An extra requires whatever is imported with the modules that it is for."""

import configparser
import re
import sys

import pytest

from tests.test_house import MAY_IMPORT, ROOT, imports_of, loaded_with

MODULES = {
    "": ["lensing_tfds.simulation", "lensing_tfds.own_maps"],
    "worker": ["lensing_tfds.build", "lensing_tfds.records.building"],
    "networks": ["trainer.train", "trainer.evaluate", "trainer.compare", "trainer.reconstruct"]
    + ["trainer.pretrained_models", "trainer.data.sources", "trainer.networks.families"],
    "pipelines": ["pipelines.generate", "pipelines.validate", "pipelines.predict_worker"],
    "tuning": ["tuning.search", "tuning.report"],
}

PACKAGES = {
    "absl": "keras",  # which requires it
    "apache_beam": "apache-beam",
    "etils": "tensorflow-datasets",
    "google_crc32c": "google-crc32c",
    "keras_tuner": "keras-tuner",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
}
"""Packages that bring a module of another name."""

# The package itself imports `wrapt` too, but only beside TFDS.
IMPORTS = {i for i in imports_of(ROOT) if i.when_imported and i.importer != "lensing_tfds"}


def required(extra, options):
    """The names of what an extra and those that it asks for require, the core's included."""
    lines = options["options"]["install_requires"].splitlines()
    waiting, seen = [extra] if extra else [], set()
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            found = options["options.extras_require"][name].splitlines()
            waiting += [e for line in found for e in re.findall(r"[\w]+", _asked(line))]
            lines = lines + found
    return {re.match(r"[\w.-]*", line.strip())[0] for line in lines} - {"", "lensing-tfds"}


def _asked(line):
    return line.partition("[")[2] if line.startswith("lensing-tfds[") else ""


@pytest.mark.parametrize("extra", MODULES)
def test_what_is_imported_is_required(extra):
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    names = required(extra, options)
    loaded = set().union(*(loaded_with(module, IMPORTS) for module in MODULES[extra]))
    others = loaded - set(sys.stdlib_module_names) - MAY_IMPORT.keys()
    assert "numpy" in others
    assert {m for m in others if PACKAGES.get(m, m) not in names} == set()
