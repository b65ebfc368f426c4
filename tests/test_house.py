"""Imports point one way between the packages, in no circle, and take no private name."""

import ast
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from trainer.networks import REGISTERED

ROOT = pathlib.Path(__file__).parents[1]

MAY_IMPORT = {
    "lensing_tfds": set(),
    "estimators": {"lensing_tfds"},
    "trainer": {"lensing_tfds", "estimators"},
    "tuning": {"lensing_tfds", "estimators", "trainer"},
    "pipelines": {"lensing_tfds", "estimators"},
    "benchmarks": {"lensing_tfds", "estimators", "trainer", "tuning", "pipelines"},
}
"""Which packages a package may import beside itself."""

PREDICT = "pipelines.predict"  # the modules whose names begin so need the trainer

TRAINERS_FLOORS = ("machine", "networks", "settings", "data", "runs", "loop")
"""Rooms of the trainer, from the ground up: what is in one imports none that is above."""

BOUNDS = "trainer.settings.optimization"  # which imports no module of the trainer's

SKY = "lensing_tfds.sky"
SKY_MAY_IMPORT = (SKY, "lensing_tfds.errors")  # physics knows no config

WITHOUT_FRAMEWORKS = (
    SKY,
    *(
        f"lensing_tfds.{name}"
        for name in (
            *("errors", "configs", "versions", "cosmology", "realism", "simulation"),
            *("unlensed_fields", "simulators", "simulator_process"),
            *("symmetries", "task", "strict_json", "field_types", "processes", "prefetching"),
            *("records.shards", "records.tfrecord", "records.storage", "records.locks"),
            *("records.array_record", "records.example_records", "records.file_formats"),
            *("records.shard_plans", "records.shard_seals", "records.shard_summary"),
            *("records.local_executor", "records.split_reader", "records.building"),
        )
    ),
    *(
        f"estimators.{name}"
        for name in (
            *("quadratic", "iterated", "posterior", "lensing_template", "estimator", "resampling"),
            *("kappa_files", "own_maps", "sealed_predictions"),
        )
    ),
    *("pipelines.validation.observables", "pipelines.validation.statistics"),
)
"""What a worker that simulates or validates needs, and a person who only wants maps."""

WITHOUT_TENSORFLOW = (
    *("trainer.train", "trainer.__main__", "trainer.evaluate", "trainer.compare", "trainer.models"),
    *("trainer.pretrained_models", "trainer.data", "estimators", "lensing_tfds.records.reading"),
)
"""Packages that training and judging on JAX or PyTorch need, on a dataset that is built."""

FRAMEWORKS = {"tensorflow", "tensorflow_datasets", "keras", "apache_beam", "pymaster"}


TFDS, BUILDER = "tensorflow_datasets", "lensing_tfds.lensing_tfds_dataset_builder"


class Import(NamedTuple):
    """An import statement, or the use of a private name of an imported module.

    Attributes:
      importer: the module that it stands in.
      imported: the module, or `module._name`.
      when_imported: whether it runs when the importer is imported.
    """

    importer: str
    imported: str
    when_imported: bool = True


def modules_of(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """The modules of the packages, by their dotted names; a package's is that of its `__init__`."""
    files = (file for package in MAY_IMPORT for file in sorted((root / package).rglob("*.py")))
    return {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for file in files
    }


def imports_of(root: pathlib.Path) -> set[Import]:
    """All imports, those inside functions and for the type checker too."""
    modules = modules_of(root)
    return {
        found
        for module, file in modules.items()
        for found in _imports_in(module, ast.parse(file.read_text()), modules)
    }


def _imports_in(
    module: str, tree: ast.Module, modules: dict[str, pathlib.Path]
) -> Iterator[Import]:
    names = {}  # what a name of the file stands for, if it is a module
    eager = set(_run_when_imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name] = alias.name
                yield Import(module, alias.name, node in eager)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module}: relative import, {node.lineno}"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in modules:
                    names[alias.asname or alias.name] = full
                is_private = alias.name.startswith("_") and not alias.name.startswith("__")
                yield Import(
                    module, full if full in modules or is_private else node.module, node in eager
                )
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            value = names.get(ast.unparse(node.value))
            if value in modules and not node.attr.startswith("__"):
                yield Import(module, f"{value}.{node.attr}")


def _run_when_imported(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _run_when_imported(node)


def forbidden(root: pathlib.Path) -> set[tuple[str, str]]:
    """The imports that break a rule: (who imports, what)."""
    modules, imports = modules_of(root), imports_of(root)
    broken = {
        (i.importer, i.imported)
        for i in imports
        if _runs_back_up(i)
        or _runs_upstairs(i)
        or _knows_too_much(i)
        or _takes_private_name(i, modules)
    }
    for module in modules:
        if _is_in(module, WITHOUT_FRAMEWORKS):
            broken |= {(module, found) for found in loaded_with(module, imports) & FRAMEWORKS}
        if _is_in(module, WITHOUT_TENSORFLOW):
            needed = loaded_with(module, imports) & {"tensorflow", "tensorflow_datasets", "etils"}
            broken |= {(module, found) for found in needed}
    return broken


def _package(module: str) -> str:
    return module.partition(".")[0]


def _is_in(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def _runs_back_up(found: Import) -> bool:
    here, there = _package(found.importer), _package(found.imported)
    if found.importer.startswith(PREDICT) and there == "trainer":
        return False
    return there in MAY_IMPORT and there != here and there not in MAY_IMPORT[here]


def _runs_upstairs(found: Import) -> bool:
    """Says whether an import is of a higher floor of the trainer's."""
    floors = [
        TRAINERS_FLOORS.index(parts[1])
        for parts in (found.importer.split("."), found.imported.split("."))
        if parts[0] == "trainer" and len(parts) > 1 and parts[1] in TRAINERS_FLOORS
    ]
    return len(floors) == 2 and floors[0] < floors[1] and found.imported != BOUNDS


def _knows_too_much(found: Import) -> bool:
    return (
        _is_in(found.importer, (SKY,))
        and _package(found.imported) in MAY_IMPORT
        and not _is_in(found.imported, SKY_MAY_IMPORT)
    )


def _takes_private_name(found: Import, modules: dict[str, pathlib.Path]) -> bool:
    module, _, name = found.imported.rpartition(".")
    return name.startswith("_") and module in modules and module != found.importer


def loaded_with(module: str, imports: set[Import]) -> set[str]:
    """The top-level packages that come with a module, however indirectly."""
    eager: dict[str, set[str]] = {}
    for i in imports:
        if i.when_imported or _is_in(i.importer, WITHOUT_FRAMEWORKS):
            eager.setdefault(i.importer, set()).add(i.imported)
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        parts = waiting.pop().split(".")
        for length in range(1, len(parts) + 1):  # a module's packages are imported before it
            if (name := ".".join(parts[:length])) not in seen:
                seen.add(name)
                waiting += eager.get(name, ())
    return {_package(name) for name in seen}


def circles(root: pathlib.Path) -> list[set[str]]:
    """Sets of modules that import one another, in functions or for the type checker too."""
    arrows: dict[str, set[str]] = {module: set() for module in modules_of(root)}
    for i in imports_of(root):
        # With TFDS comes the builder, which `lensing_tfds` registers then.
        imported = BUILDER if i.imported == TFDS and i.when_imported else i.imported
        if imported in arrows and imported != i.importer:
            arrows[i.importer].add(imported)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for module in arrows[waiting.pop()] - seen:
                seen.add(module)
                waiting.append(module)
        return seen

    reach = {module: reached(module) for module in arrows}
    found = []
    for module in arrows:
        circle = {other for other in reach[module] if module in reach[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


def test_imports_point_one_way():
    assert forbidden(ROOT) == set()


def test_modules_of_layers_wait_for_those_that_they_need():
    """All are imported when Keras is: one that is half imported must be among `REGISTERED`."""
    eager = {i for i in imports_of(ROOT) if i.when_imported}
    begins_with_keras = {i.importer for i in eager if _package(i.imported) == "keras"}
    needed = {
        i.imported for i in eager if i.importer in REGISTERED and i.imported in begins_with_keras
    }
    assert needed <= set(REGISTERED) <= begins_with_keras


@pytest.mark.parametrize("first", ["quadratic_layers", "flow_layers", "families"])
def test_keras_registers_our_layers_whichever_module_imports_it_first(first):
    """One that others need, one that needs others, and one that begins without it."""
    code = (
        f"import trainer.networks.{first}, keras\n"
        "names = keras.saving.get_custom_objects()\n"
        "assert {f'lensing_tfds>{name}' for name in ('RingGains', 'Flows', 'Whiten')} <= set(names)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=300)


def test_no_modules_import_one_another():
    assert circles(ROOT) == []


def pictured(root: pathlib.Path) -> dict[str, set[str]]:
    """The files and folders that docs/development.md names, by the package that they are in."""
    picture = (root / "docs" / "development.md").read_text(encoding="utf-8")
    named: dict[str, set[str]] = {}
    package = ""
    for line in picture.splitlines():
        if found := re.match(r" {4}(\w+)/", line):
            package = found[1]
        if package and line.startswith("    "):
            named.setdefault(package, set()).update(re.findall(r"\w+\.py\b|\w+/", line))
    return named


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_the_picture_of_the_folders_names_files_that_are_there_and_forgets_none(package):
    folder, named = ROOT / package, pictured(ROOT)[package]
    files = {file.name for file in folder.rglob("*.py")}
    assert {name for name in named if name.endswith(".py")} <= files
    own = {file.name for file in folder.glob("*.py") if not file.name.startswith("__")}
    rooms = {f"{file.parent.name}/" for file in folder.glob("*/__init__.py")}
    assert rooms | (own if package != "benchmarks" else set()) <= named  # each script has its claim


@pytest.mark.parametrize(
    ("module", "line", "arrow"),
    [
        ("estimators.judge", "from trainer.runs.run import Run", "trainer.runs.run"),
        ("estimators.judge", "def f():\n  from trainer.runs import run", "trainer.runs.run"),
        ("estimators.judge", "if TYPE_CHECKING:\n  import trainer.runs.run", "trainer.runs.run"),
        ("trainer.runs.run", "import tuning.search as s", "tuning.search"),
        ("tuning.search", "from pipelines import predict", "pipelines.predict"),
        ("pipelines.validate", "from trainer.runs.run import Run", "trainer.runs.run"),
        ("trainer.runs.run", "from trainer.loop.pace import measure_pace", "trainer.loop.pace"),
        ("trainer.runs.run", "from estimators.judge import _check", "estimators.judge._check"),
        (
            "trainer.runs.run",
            "from estimators import judge\ndef f():\n  return judge._check()",
            "estimators.judge._check",
        ),
        (
            "trainer.runs.run",
            "import estimators.judge\nestimators.judge._check()",
            "estimators.judge._check",
        ),
        ("lensing_tfds.sky.nufft", "from lensing_tfds.configs import C", "lensing_tfds.configs"),
        ("estimators.quadratic.kernels", "def f():\n  import tensorflow as tf", "tensorflow"),
        ("estimators.quadratic.kernels", "from lensing_tfds.records import beam", "apache_beam"),
        ("estimators.quadratic.kernels", "from estimators import judge", "pymaster"),
    ],
)
def test_an_arrow_that_runs_back_up_is_found(tmp_path, module, line, arrow):
    write_house(tmp_path)
    assert forbidden(tmp_path) == set() and circles(tmp_path) == []
    file = tmp_path / f"{module.replace('.', '/')}.py"
    file.write_text(f"{file.read_text()}\n{line}\n")
    assert (module, arrow) in forbidden(tmp_path)


def test_a_circle_is_found(tmp_path):
    write_house(tmp_path)
    (tmp_path / "estimators" / "judge.py").write_text("from estimators import skill")
    skill = tmp_path / "estimators" / "skill.py"
    skill.write_text("def f():\n  from estimators.judge import judge")
    assert circles(tmp_path) == [{"estimators.judge", "estimators.skill"}]


def test_a_circle_through_the_registration_with_tfds_is_found(tmp_path):
    """The builder imports `records.datasets`, which must not import TFDS while it is imported."""
    write_house(tmp_path)
    builder = tmp_path / "lensing_tfds" / "lensing_tfds_dataset_builder.py"
    builder.write_text("import tensorflow_datasets\nfrom lensing_tfds.records import datasets")
    datasets = tmp_path / "lensing_tfds" / "records" / "datasets.py"
    datasets.write_text("def f():\n  import tensorflow_datasets")
    assert circles(tmp_path) == []
    datasets.write_text("import tensorflow_datasets")
    assert circles(tmp_path) == [{BUILDER, "lensing_tfds.records.datasets"}]


def write_house(root):
    """A small house in which every arrow is as it should be."""
    files = {
        "lensing_tfds.configs": "import numpy",
        "lensing_tfds.sky.nufft": "from lensing_tfds.errors import LensingError",
        "lensing_tfds.errors": "",
        "lensing_tfds.records.beam": "import apache_beam",
        "estimators.quadratic.kernels": "from lensing_tfds.sky import nufft",
        "estimators.judge": "import pymaster\ndef _check(): ...\n_check()",
        "trainer.runs.run": "from estimators import judge\njudge.judge",
        "tuning.search": "from trainer.runs.run import Run",
        "pipelines.validate": "import lensing_tfds.records.beam",
        "pipelines.predict": "from trainer.runs.run import Run",
    }
    for module, text in files.items():
        file = root / f"{module.replace('.', '/')}.py"
        for folder in list(file.parents)[: module.count(".")]:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "__init__.py").touch()
        file.write_text(text)
