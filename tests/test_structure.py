"""The root of the package, circles of imports, what `import refine` loads, and the public surface."""

from __future__ import annotations

import ast
import site
import subprocess
import sys
from pathlib import Path

import pytest

import refine

ROOT = Path(refine.__file__).parent
MOST_ENTRIES = 16

HEAVY = {
    "tensorflow",
    "keras",
    "matplotlib",
    "seaborn",
    "dask",
    "distributed",
    "optuna",
    "sqlalchemy",
    "sklearn",
    "statsmodels",
    "scipy.stats",
    "pandas",
}
PUBLIC = [
    "Analysis",
    "Categorical",
    "Change",
    "Command",
    "Decision",
    "Float",
    "Goal",
    "Integer",
    "Near",
    "Proposal",
    "Pruner",
    "Review",
    "Round",
    "Space",
    "Tree",
    "analyze",
    "autopilot",
    "errors",
    "guide",
    "propose",
]
FILES = {
    ".".join(("refine", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).name != "__main__.py" and path != ROOT / "__init__.py"
}


def imports_of(name, source, is_package, modules):
    """Modules of refine that a file imports: at its top, inside functions, and for annotations alone."""
    package = name.split(".") if is_package else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            inner = {alias.name: f"{module}.{alias.name}" for alias in node.names}
            found |= {inner[n] if inner[n] in modules else module for n in inner}
    ours = {m for m in found if m in modules and m != name}
    return {m for m in ours if not name.startswith(f"{m}.")}


def rest_of(graph):
    """What is left of a graph when whatever leads nowhere is taken away, over and over: its circles and what leads there."""
    while leaves := {name for name, others in graph.items() if not others}:
        graph = {name: others - leaves for name, others in graph.items() if name not in leaves}
    return sorted(graph)


@pytest.fixture(scope="module")
def graph():
    return {
        name: imports_of(name, path.read_text(encoding="utf-8"), path.name == "__init__.py", FILES)
        for name, path in FILES.items()
    }


def test_every_kind_of_import_counts():
    source = (
        "import numpy, refine.stats.axis\nfrom refine import errors\nfrom refine.space.space import Space\n"
        "from .tree import Tree\nfrom refine.stats import noise\nfrom refinery import x\n"
        "if TYPE_CHECKING:\n    from refine.tree.round import Round\n"
        "def f():\n    from refine.trials.trial import states\n"
    )
    inner = [
        "stats.axis",
        "errors",
        "space.space",
        "tree",
        "stats",
        "stats.noise",
        "tree.round",
        "trials.trial",
        "ui",
    ]
    modules = {f"refine.{m}" for m in inner}
    assert imports_of("refine.x", source, False, modules) == modules - {"refine.stats", "refine.ui"}
    assert rest_of({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set(), "e": {"d"}}) == ["a", "b", "c"]


@pytest.mark.slow
def test_no_module_leads_back_to_itself(graph):
    assert rest_of(graph) == []


def test_no_folder_leads_back_to_itself(graph):
    folders = {}
    for name, others in graph.items():
        own = name.split(".")[1]
        folders.setdefault(own, set()).update({m.split(".")[1] for m in others} - {own})
    assert rest_of(folders) == []


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
    check = f"import sys; {code}; print(*sorted(set(sys.modules) & set({sorted(HEAVY)!r})))"
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


def test_the_public_surface():
    assert refine.__all__ == PUBLIC
    assert dir(refine) == sorted(PUBLIC)
    assert set(refine._HOMES) == set(PUBLIC) - {"errors"}
    for name in PUBLIC:
        found = getattr(refine, name)
        assert getattr(found, "__name__", "").rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="module 'refine' has no attribute 'Spase'"):
        refine.Spase  # noqa: B018


def test_type_checkers_find_the_package():
    """They follow paths that are written down, and no hook that runs: so an editable install has to be a path."""
    folders = [Path(folder) for folder in site.getsitepackages()]
    lines = [
        line for folder in folders for file in folder.glob("*.pth") for line in file.read_text().splitlines()
    ]
    assert any((folder / "refine" / "py.typed").exists() for folder in [*folders, *map(Path, lines)])


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == {name: f"refine.{home}" for name, home in refine._HOMES.items()}
