"""Floors, cycles, file length, what `import refine` loads, and the public surface."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import refine

ROOT = Path(refine.__file__).parent
LONGEST = 400

FLOORS = [
    # Numbers and texts.
    ["display", "one_thread", "errors", "version", "words", "environment"],
    ["stats._common"],
    [
        "stats.additive",
        "stats.bootstrap",
        "stats.budget",
        "stats.correlation",
        "stats.coverage",
        "stats.curves",
        "stats.forest",
        "stats.gaussian",
        "stats.optimism",
        "stats.rescore",
    ],
    [
        "stats.association",
        "stats.density",
        "stats.interaction",
        "stats.noise",
        "stats.optimum",
        "stats.population",
    ],
    ["stats.box", "stats.components", "stats.importance"],
    ["stats"],
    # The space.
    ["calls", "canonical", "space_page", "typed"],
    ["parameters", "constraints"],
    ["choices"],
    ["notation"],
    ["space"],
    ["space_file"],
    # Values about a space: cells, outcomes, evidence, proposals, decisions.
    ["design", "trials", "edits", "node", "distributions", "pruning", "roles"],
    ["sampling"],
    ["adaptive"],
    ["cautions", "evidence", "parameter_evidence", "population"],
    ["hopeless", "wording"],
    ["story"],
    ["analysis"],
    ["advice", "exploit", "change"],
    ["proposal", "forecast"],
    ["cards", "preview"],
    ["checks"],
    ["decision"],
    ["calibration"],
    # Files and processes.
    ["naming"],
    ["schema", "objective", "interrupt", "leash", "limits", "trouble"],
    ["address", "cluster", "watchdog"],
    ["lease", "trial_log", "execute"],
    ["store"],
    ["watch"],
    ["runner", "child", "home", "replicates", "bundle"],
    ["bundle_files", "merge", "imported"],
    ["frame_import", "optuna_bridge"],
    ["curves", "lineage", "luck", "replay", "retrain", "winner", "steering"],
    ["holdout"],
    ["round_view"],
    ["round_page", "round_run"],
    # Pictures and texts.
    ["figures.style"],
    ["figures.drawn", "figures.view"],
    [
        "figures.cells",
        "figures.effects",
        "figures.ends",
        "figures.ledger",
        "figures.nodes",
        "figures.populations",
        "figures.price",
        "figures.progress",
        "figures.rounds",
        "figures.top",
        "figures.training",
        "figures.twins",
    ],
    ["figures.shapes"],
    ["figures.by_level", "figures.failures", "figures.grid", "figures.lines", "figures.pairs"],
    ["figures.densities", "figures.isolated"],
    ["figures.zoom"],
    ["figures"],
    ["report.script", "report.facts", "report.text"],
    ["report.page"],
    [
        "report.comparing",
        "report.curves",
        "report.decision",
        "report.gather",
        "report.gating",
        "report.luck",
        "report.pairs",
        "report.population",
        "report.sections",
        "report.telling",
    ],
    ["page.code", "page.content", "page.edits"],
    ["page", "page.session"],
    ["page.server", "page.widget"],
    ["report", "plots", "review"],
    # What people hold.
    ["round"],
    ["comparison", "exchange", "outcome", "tree_page"],
    ["tree_story"],
    ["tree"],
    ["dialogue", "pilot"],
    ["guided"],
    ["__init__"],
    # Edges: nothing below imports them.
    ["keras._quiet"],
    [
        "keras._code",
        "keras._data",
        "keras._repeats",
        "keras._session",
        "keras._flat",
        "keras._history",
        "keras._pruning",
        "keras._split",
        "keras._structure",
        "keras.layers",
        "keras.metrics",
        "keras.optimizers",
    ],
    ["keras._epochs", "keras._scores"],
    ["keras._lean"],
    ["keras._plain"],
    ["keras.fit", "keras.objective"],
    ["keras"],
    ["cli._data", "cli._open", "cli._words"],
    ["cli._complete"],
    ["cli._app"],
    ["cli._bring", "cli._decide", "cli._doctor", "cli._failures", "cli._look", "cli._review", "cli._runs"],
    ["cli"],
    ["__main__"],
]
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}

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
    "Change",
    "Choice",
    "Decision",
    "Float",
    "Int",
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


def _name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


FILES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


class _Imports(ast.NodeVisitor):
    """Names of refine's modules that a file imports when it runs, at its top or inside functions."""

    def __init__(self, name, is_package, modules):
        self.package = name.split(".") if is_package else name.split(".")[:-1]
        self.modules = modules
        self.found = {}

    def visit_If(self, node):
        test = node.test
        if (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
            isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
        ):
            for child in node.orelse:
                self.visit(child)
            return
        self.generic_visit(node)

    def visit_Import(self, node):
        for alias in node.names:
            parts = alias.name.split(".")
            if parts[0] == "refine":
                self._add(".".join(parts[1:]) or "__init__", node.lineno)

    def visit_ImportFrom(self, node):
        if node.level:
            base = self.package[: len(self.package) - node.level + 1]
            parts = ["refine", *[p for p in base if p != "__init__"], *(node.module or "").split(".")]
        else:
            parts = (node.module or "").split(".")
        if parts[0] != "refine":
            return
        home = ".".join(p for p in parts[1:] if p)
        for alias in node.names:
            inner = f"{home}.{alias.name}".lstrip(".")
            self._add(inner if inner in self.modules else home or "__init__", node.lineno)

    def _add(self, name, line):
        self.found.setdefault(name, line)


def imports_of(name, source, is_package, modules=frozenset(FILES)):
    visitor = _Imports(name, is_package, modules)
    visitor.visit(ast.parse(source))
    return visitor.found


def _imports(name):
    path = FILES[name]
    found = imports_of(name, path.read_text(encoding="utf-8"), path.name == "__init__.py")
    if name == "__init__":
        found |= dict.fromkeys(refine._HOMES.values(), 0)  # looked up when they are used
    return found


def test_the_checker_sees_every_kind_of_import():
    source = (
        "from typing import TYPE_CHECKING\nimport typing\nimport refine\nimport refine.stats.box\n"
        "from refine import errors, Space\nfrom refine.space.space import Space\nfrom . import words\n"
        "from .tree import Tree\nfrom refine.stats import noise\nimport numpy, refinery\n"
        "if TYPE_CHECKING:\n    from refine.tree.round import Round\nelse:\n    from refine.store.store import Store\n"
        "if typing.TYPE_CHECKING:\n    import refine.cli\n"
        "def f():\n    try:\n        from refine.trials.round_record import Node\n    finally:\n        pass\n"
    )
    modules = frozenset(
        [
            "__init__",
            "errors",
            "space",
            "words",
            "tree",
            "stats",
            "stats.box",
            "stats.noise",
            "store",
            "node",
            "round",
            "cli",
        ]
    )
    found = imports_of("x", source, False, modules)
    assert set(found) == {
        "__init__",
        "stats.box",
        "errors",
        "space",
        "words",
        "tree",
        "stats.noise",
        "store",
        "node",
    }
    assert set(
        imports_of("stats.box", "from ._common import x\nfrom ..errors import y\n", False, modules)
    ) == {
        "stats._common",
        "errors",
    }
    assert set(imports_of("stats", "from .noise import x\n", True, modules)) == {"stats.noise"}


def test_every_module_has_one_floor():
    listed = [name for names in FLOORS for name in names]
    homeless = sorted(set(FILES) - set(listed))
    assert not homeless, f"modules without a floor: {homeless}; give each a place in FLOORS"
    gone = sorted(set(listed) - set(FILES))
    assert not gone, f"floors of modules that do not exist: {gone}; take them out of FLOORS"
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_from_lower_floors(name):
    assert name in FLOOR_OF, f"{name} has no floor; give it a place in FLOORS"
    for other, line in _imports(name).items():
        assert other in FLOOR_OF, f"{name}:{line} imports {other}, which has no floor"
        assert FLOOR_OF[other] < FLOOR_OF[name], f"{name}:{line} imports {other}, which is no lower floor"


def test_there_are_no_cycles():
    """Whatever the floors say: even with a wrong list, no file may lead back to itself."""
    graph = {name: set(_imports(name)) & set(FILES) for name in FILES}
    while leaves := {name for name, others in graph.items() if not others}:
        graph = {name: others - leaves for name, others in graph.items() if name not in leaves}
    assert not graph, f"cycles among {sorted(graph)}"


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_too_long(name):
    lines = FILES[name].read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST, f"{name} has {lines} lines; split it"


def test_only_edges_know_keras():
    for name, path in FILES.items():
        if name.split(".")[0] in ("keras", "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not {n.split(".")[0] for n in names} & {"keras", "tensorflow"}, f"{name}:{node.lineno}"


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


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == {name: f"refine.{home}" for name, home in refine._HOMES.items()}


def test_every_error_is_drawn_in_its_tree():
    from refine import errors

    kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, errors.RefineError)]
    assert len(kinds) > 8
    for kind in kinds:
        assert f"{kind.__name__} " in errors.__doc__ or f"{kind.__name__}\n" in errors.__doc__
        if kind is not errors.RefineError:
            assert issubclass(kind, ValueError | RuntimeError)
