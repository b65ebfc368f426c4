"""The installed package holds what it needs and nothing else, and asks for no compiler."""

import configparser
import email
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import pytest

import lensing_tfds
from tests.distributions import ROOT, built
from tests.installs.extras import EXTRAS, NOT_HERE
from tests.test_commands import COMMANDS

PACKAGES = ("lensing_tfds", "estimators", "trainer", "pipelines", "tuning")
DATA = {
    "lensing_tfds/README.md",
    "lensing_tfds/CITATIONS.bib",
    "lensing_tfds/TAGS.txt",
    "lensing_tfds/sky/fiducial_spectra.dat",
    "lensing_tfds/sky/fiducial_tensors.dat",
    "lensing_tfds/sky/kappa_correlations.dat",
    "estimators/benchmark/protocol.json",
    "estimators/posterior/measured.json",
}
NAMED = f"lensing_tfds-{lensing_tfds.__version__}"


@pytest.fixture(name="files", scope="module")
def files_fixture(tmp_path_factory):
    return built(tmp_path_factory.mktemp("built"))


def installed():
    """The modules and the data that the packages are made of, as paths below the root."""
    modules = {
        str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }
    gains = {f"trainer/gains/{path.name}" for path in (ROOT / "trainer" / "gains").iterdir()}
    assert len(gains) > 10
    return modules | DATA | gains


def test_the_wheel_holds_the_packages_their_data_and_the_licence(files):
    with zipfile.ZipFile(files[0]) as wheel:
        names = set(wheel.namelist())
        for path in sorted(DATA):
            assert wheel.read(path) == (ROOT / path).read_bytes()
    about = ("METADATA", "RECORD", "WHEEL", "top_level.txt", "licenses/LICENSE")
    assert names == installed() | {f"{NAMED}.dist-info/{name}" for name in about}


def test_the_source_distribution_holds_what_builds_the_wheel(files):
    with tarfile.open(files[1]) as sdist:
        names = {member.name for member in sdist.getmembers() if member.isfile()}
    about = {"LICENSE", "README.md", "PKG-INFO", "pyproject.toml", "setup.cfg", "MANIFEST.in"}
    egg = {name for name in names if ".egg-info/" in name}
    assert {pathlib.PurePath(name).parent.name for name in egg} == {"lensing_tfds.egg-info"}
    assert names - egg == {f"{NAMED}/{name}" for name in installed() | about}


def test_both_pass_twine(files):
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and ended.stdout.count("PASSED") == 2, ended.stdout


def test_the_version_is_the_packages_own_and_one(files):
    with zipfile.ZipFile(files[0]) as wheel:
        metadata = email.message_from_bytes(wheel.read(f"{NAMED}.dist-info/METADATA"))
    assert metadata["Version"] == lensing_tfds.__version__
    assert files[1].name == f"{NAMED}.tar.gz"
    assert f"\n## {lensing_tfds.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_extra_for_users_asks_for_what_has_no_wheel():
    """NaMaster's own does, and that of the tests, which compare with it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    asking = {name for name, text in extras.items() if "pymaster" in text or "namaster" in text}
    assert asking == {"namaster", "test"}
    assert "pymaster" not in setup["options"]["install_requires"]


def test_every_command_is_run_by_the_extra_that_it_asks_for():
    run = {extra: {c[2] for c in commands if c[1] == "-m"} for extra, commands in EXTRAS.items()}
    for module, (extra, _) in COMMANDS.items():
        assert module in run[extra]


def test_every_extra_is_here_or_it_is_said_why_not():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert EXTRAS.keys() | NOT_HERE.keys() == {"", *setup["options.extras_require"]}
