"""The root of the package, circles of imports, what `import refine` loads, and the public surface."""

import ast
import importlib
import re
import site
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

import refine

ROOT = Path(refine.__file__).parent
MOST_ENTRIES = 20

HEAVY = (
    "tensorflow keras matplotlib seaborn dask distributed optuna sqlalchemy sklearn statsmodels "
    "scipy.stats pandas"
)


@pytest.mark.slow
def test_no_module_leads_back_to_itself():
    """Imports inside functions and for annotations count too; import-linter checks the folders."""
    import grimp  # comes with import-linter, which only the main environment has

    graph = grimp.build_graph("refine")
    imported = {
        name: {m for m in graph.find_modules_directly_imported_by(name) if not name.startswith(f"{m}.")}
        for name in graph.modules - {"refine"}
    }
    assert len(imported) > 100
    TopologicalSorter(imported).prepare()  # raises with the circle


def test_every_test_in_the_list_of_faults_exists():
    tests = Path(__file__).parent
    modules = {path.stem: path.read_text("utf-8") for path in tests.rglob("test_*.py")}
    source = "\n".join(modules.values())
    names = set(re.findall(r"\btest_\w+", (tests / "FAULTS.md").read_text("utf-8")))  # some are beginnings
    assert len(names) > 100
    assert [name for name in sorted(names - set(modules)) if f"def {name}" not in source] == []


def test_the_root_can_be_read_at_a_glance():
    entries = sorted(p.name for p in ROOT.iterdir() if p.name[0] not in "_." and p.name != "py.typed")
    assert len(entries) <= MOST_ENTRIES, f"{len(entries)} entries in the root: {entries}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import refine",
        "import refine.stats",
        "import refine; refine.Space({'a': (0, 1.0), 'b': ['x', None]}, ['a < 1']).configuration(0)",
    ],
)
def test_importing_loads_nothing_heavy(code):
    check = f"import sys; {code}; print(*sorted(set(sys.modules) & set({HEAVY.split()!r})))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", check],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_public_names_are_the_same_for_python_and_type_checkers():
    assert dir(refine) == refine.__all__
    source = ast.parse((ROOT / "__init__.py").read_text())
    (typed,) = [node for node in source.body if isinstance(node, ast.If)]
    homes = {line.names[0].asname: line.module.removeprefix("refine.") for line in typed.body}
    assert homes == refine._HOMES, "type checkers and Python find different names"
    for name in refine.__all__:
        public = getattr(refine, name)
        assert getattr(public, "__name__", "").rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="module 'refine' has no attribute 'Spase'"):
        refine.Spase  # noqa: B018


def test_type_checkers_find_the_package():
    """Type checkers follow written paths and run no hooks, so an editable install must be a path."""
    folders = [Path(folder) for folder in site.getsitepackages()]
    lines = [
        line for folder in folders for file in folder.glob("*.pth") for line in file.read_text().splitlines()
    ]
    assert any((folder / "refine" / "py.typed").exists() for folder in [*folders, *map(Path, lines)])


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    homes = {alias.name: node.module for node in block.body for alias in node.names}
    assert homes == {name: f"refine.{home}" for name, home in refine._HOMES.items()}


def _exists(module: str, name: str) -> bool:
    imported = importlib.import_module(module)
    return hasattr(imported, name) or (
        hasattr(imported, "__path__") and find_spec(f"{module}.{name}") is not None
    )


@pytest.mark.slow
def test_the_benchmarks_import_names_that_exist():
    missing = set()
    for file in (ROOT.parent / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("refine."):
                names = {name.name for name in node.names if not _exists(node.module, name.name)}
                missing |= {f"{file.name}: {node.module}.{name}" for name in names}
    assert missing == set()
