"""The guide is the test: blocks of README and docs run and print the page's text, and every link works.

A ``text`` block below a Python block shows its output on a terminal; ``REFINE_GOLDEN=1`` writes them.
"""

import importlib
import inspect
import itertools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from recorder import Terminal

from refine import errors
from refine.store.schema import SCHEMA_VERSION

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

STRICT = (
    "import warnings; warnings.simplefilter('error'); "
    # Raised inside other packages, about themselves; the same as in pyproject.toml and tests/keras.
    "warnings.filterwarnings('ignore', category=DeprecationWarning, module='tensorflow.*'); "
    "warnings.filterwarnings('ignore', category=DeprecationWarning, module='keras.*'); "
    "warnings.filterwarnings('ignore', '.*np.object.*', FutureWarning); "
    "warnings.filterwarnings('ignore', '__array__ implementation doesn.t accept a copy', DeprecationWarning)"
)


BLOCK = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "@@ end of the block at line"


def script(text):
    """The Python of a page: other lines are blank, so that line numbers in tracebacks are the page's.

    The line after each block prints a mark with its number.
    """
    lines = [""] * (text.count("\n") + 1)
    for block in BLOCK.finditer(text):
        if block[1] != "python" or block[2].strip():
            continue
        start = text.count("\n", 0, block.start()) + 1
        code = block[3].splitlines()
        lines[start : start + len(code)] = code
        lines[start + len(code)] = f"print({f'{MARK} {start} @@'!r}, flush=True)"
    lines[0] = STRICT
    return "\n".join(lines) + "\n"


def printed(text):
    """Line at which a Python block begins -> the text block that shows what it prints.

    It is the next block: right below, or after prose and the comment ``<!-- printed -->``.
    """
    blocks = list(BLOCK.finditer(text))
    shown = {}
    for code, output in itertools.pairwise(blocks):
        between = text[code.end() : output.start()].strip()
        if code[1] == "python" and not code[2] and output[1] == "text":
            if between and not between.endswith("<!-- printed -->"):
                continue
            shown[text.count("\n", 0, code.start()) + 1] = output
    return shown


WITH_CODE = [page for page in PAGES if "```python\n" in page.read_text()]
DAILY = ("README.md", "keras.md")
"""Pages whose code runs with every change; that of the others runs nightly."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=() if p.name in DAILY else pytest.mark.nightly) for p in WITH_CODE],
    ids=lambda page: page.name,
)
def test_the_code_of_a_page_runs_and_prints_the_text_on_the_page(page, tmp_path):
    text = page.read_text()
    assert not text.startswith("```")
    program = tmp_path / f"page_{page.stem}.py"  # no name that a package has
    program.write_text(script(text))
    (tmp_path / "work").mkdir()
    shown = printed(text)
    if not shown:
        # As a script of its own: a page may set up TensorFlow or start workers.
        done = subprocess.run(
            [sys.executable, str(program)],
            cwd=tmp_path / "work",
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, f"{page.name}, lines as there:\n{done.stderr[-4000:]}"
        return
    screen = Terminal(tmp_path / "work").run(f"OMP_NUM_THREADS=1 {sys.executable} {program}")
    outputs = {}
    for output in re.split(r"(?<=@@)\n", screen):
        before, _, line = output.rpartition(MARK)
        if line:
            shown_by_block = re.sub(r"^round [0-9a-f]{12}: .*\n", "", before.strip("\n"), flags=re.MULTILINE)
            outputs[int(line.split()[0])] = shown_by_block.strip("\n") + "\n"
    if os.environ.get("REFINE_GOLDEN"):
        for line, block in sorted(shown.items(), reverse=True):
            text = text[: block.start(3)] + outputs[line] + text[block.end(3) :]
        page.write_text(text)
        return
    for line, block in shown.items():
        assert squeezed(block[3]) == squeezed(outputs[line]), (
            f"{page.name}, line {line} prints something else"
        )


def squeezed(text):
    """One line, with every number the same: they may differ with the versions of what is installed."""
    return " ".join(re.sub(r"[\d,]*\d(\.\d+)?(e-?\d+)?", "#", text).split())


def anchors(page):
    """Anchors of the headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert ROOT in target.parents, f"{page.name}: {link} leaves the repository"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}, no such heading"


def links(page):
    """The files that a page links to."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    paths = re.findall(r"\]\(([^)#\s]+)", prose)
    return {(page.parent / path).resolve() for path in paths if not re.match(r"[a-z]+:", path)}


def test_every_page_is_reached_from_the_first():
    visited = set()
    ahead = {ROOT / "docs" / "index.md"}
    while ahead:
        page = ahead.pop()
        visited.add(page)
        if page.suffix == ".md" and page.exists():  # links of the glossary are those of the site
            ahead |= links(page) - visited
    named = set(re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    for page in PAGES[1:]:
        if page.name == "design.md":  # for people who change the package
            assert page in links(ROOT / "CONTRIBUTING.md")
            continue
        assert page in visited, f"{page.name}: no link leads here"
        assert page.name in named or page.parent.name == "benchmarks", f"{page.name}: not in the navigation"
    assert (ROOT / "docs" / "index.md") in links(ROOT / "README.md") or len(
        links(ROOT / "README.md") & visited
    ) > 3


def test_pictures_are_there_and_small():
    shown = set()
    for page in PAGES:
        shown |= {path for path in links(page) if path.suffix in (".png", ".svg", ".webp")}
    for path in (ROOT / "docs" / "images").iterdir():
        assert path in shown, f"{path.name}: no page shows it"
        assert path.stat().st_size < 200_000, f"{path.name}: {path.stat().st_size:,} bytes"


def test_the_error_tree_in_the_docstring_is_the_one_that_is_defined():
    drawn = {}
    path = []
    for line in inspect.getdoc(errors).splitlines():
        match = re.match(r"( *)((?:│   |    )*)(?:[├└]── )?(\w+)(?:  |$)", line)
        if not match or not match[1]:
            continue
        depth = (len(match[0]) - len(match[0].lstrip(" │├└─"))) // 4 - 1
        assert depth <= len(path), line
        path[depth:] = [match[3]]
        if depth:
            drawn[match[3]] = path[depth - 1]
    defined = {
        name: base.__name__
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.RefineError) and kind is not errors.RefineError
        for base in kind.__bases__
        if issubclass(base, errors.RefineError)
    }
    assert drawn == defined
    assert path[0] == "RefineError"


FOLDERS = sorted({path.parent.name for path in (ROOT / "refine").glob("*/__init__.py")} - {"keras"})


def test_every_name_in_the_design_page_exists():
    text = (ROOT / "docs" / "design.md").read_text()
    names = re.findall(rf"`(?:refine\.)?((?:{'|'.join(FOLDERS)})(?:\.\w+)+)`", text)
    assert len(names) > 20
    for name in names:
        folder, module, *attributes = name.split(".")
        target = importlib.import_module(f"refine.{folder}.{module}")
        if attributes and hasattr(target, "__path__"):
            target = importlib.import_module(f"refine.{folder}.{module}.{attributes.pop(0)}")
        for part in attributes:
            assert hasattr(target, part), f"docs/design.md: {name}"
            target = getattr(target, part)
    defined = "\n".join(path.read_text() for path in sorted((ROOT / "refine").rglob("*.py")))
    for name in re.findall(r"`([A-Z]\w+)[`(]", text):
        assert re.search(rf"^\s*(?:class {name}\b|{name}(?:: [^=]+)? = )", defined, re.M), (
            f"docs/design.md: {name}"
        )
    assert re.findall(r"schema version is (\d+)", text) == [str(SCHEMA_VERSION)]


def test_each_step_of_a_documented_call_path_goes_down_the_layers():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    height = {
        folder: -i for i, level in enumerate(contract["layers"]) for folder in re.findall(r"\w+", level)
    }
    steps = re.findall(
        r"^\| [^|]+ \| `(\w+)\.[\w.]+` \| (.+) \|$", (ROOT / "docs" / "design.md").read_text(), re.M
    )
    assert len(steps) > 10
    for caller, called in steps:
        for folder in re.findall(r"`(\w+)\.", called):
            assert height[folder] <= height[caller], f"{caller} calls {folder}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md"])
def test_files_that_a_page_names_are_there(page):
    for path in re.findall(r"`((?:refine|tests|docs|frontend)/[\w./]*)`", (ROOT / page).read_text()):
        assert "NAME" in path or (ROOT / path).exists(), f"{page}: {path}"
