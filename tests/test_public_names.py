"""Each package lists its public names as code, and imports none of them by itself."""

import ast
import importlib
import pathlib
import pkgutil
import re
import subprocess
import sys
from importlib.util import resolve_name

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("lensing_tfds", "estimators", "trainer", "tuning", "pipelines")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_documented(name):
    package = importlib.import_module(name)
    assert package.__all__ and len(set(package.__all__)) == len(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        value = getattr(package, public)
        assert value.__doc__
        if hasattr(value, "__module__"):
            assert value.__module__.split(".")[0] in PACKAGES
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("name", PACKAGES)
def test_a_packages_docstring_says_what_each_public_name_is_for(name):
    package = importlib.import_module(name)
    quoted = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", package.__doc__))))
    assert set(package.__all__) <= quoted


@pytest.mark.parametrize("name", PACKAGES)
def test_a_type_checker_sees_the_same_names_from_the_same_modules(name):
    tree = ast.parse((ROOT / name / "__init__.py").read_text("utf-8"))
    (checked,) = (n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n))
    seen = {alias.name: statement.module for statement in checked.body for alias in statement.names}
    (call,) = (
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and "imported_when_used" in ast.dump(n)
    )
    modules = ast.literal_eval(call.args[1])
    assert {public: resolve_name(module, name) for public, module in modules.items()} == seen
    assert set(importlib.import_module(name).__all__) == set(seen)


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_is_a_modules_which_would_hide_it(name):
    package = importlib.import_module(name)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(package.__all__)


@pytest.mark.parametrize("name", PACKAGES)
def test_importing_a_package_imports_no_library(name):
    code = f"import sys, {name}; print(*{{'numpy', 'tensorflow', 'keras'}} & sys.modules.keys())"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ended.stdout == "\n"
