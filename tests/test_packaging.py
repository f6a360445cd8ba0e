"""Facts about the package that stand in several files agree."""

import json
import re
import tomllib
from pathlib import Path

import yaml
from typer.testing import CliRunner

from refine._version import VERSION
from refine.ui.cli import app

ROOT = Path(__file__).parents[1]
RECIPE = "packaging/conda/recipe.yaml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lines(file, heading):
    """Package -> bound, of a list of the recipe."""
    part = (ROOT / file).read_text().split(f"{heading}:\n")[1]
    match = re.match(r"(?:\s+- .+\n)+", part)
    assert match is not None
    return dict(re.findall(r"- ([\w-]+) (>=\d\S*)", match[0]))


def test_citation_and_recipe_state_the_version():
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    assert f'version: "{VERSION}"' in (ROOT / RECIPE).read_text()


def test_the_description_for_registries_of_servers_starts_the_released_package():
    server = json.loads((ROOT / "packaging" / "mcp" / "server.json").read_text())
    (package,) = server["packages"]
    assert (server["version"], package["version"], package["identifier"]) == (
        VERSION,
        VERSION,
        PROJECT["name"],
    )
    assert PROJECT["name"] in PROJECT["scripts"]  # uvx runs the command of this name
    assert len(server["description"]) <= 100
    words = []
    for argument in package["packageArguments"]:
        words += [argument["name"]] if argument["type"] == "named" else []
        words += [argument.get("value") or argument.get("default") or "study.db"]
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0, shown.output


def test_a_tag_builds_attests_and_publishes_and_nothing_else_may_write():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yml").read_text())["jobs"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["build"]["permissions"] == {"contents": "read", "id-token": "write", "attestations": "write"}
    steps = [step.get("uses", step.get("run", "")) for step in jobs["build"]["steps"]]
    order = [
        next(i for i, step in enumerate(steps) if command in step)
        for command in ("make package", "core_elsewhere.py", "attest-build-provenance", "upload-artifact")
    ]
    assert order == sorted(order)


def test_the_recipe_has_the_core_and_its_bounds():
    requirements = dict(re.findall(r"([\w-]+)(>=.+)", "\n".join(PROJECT["dependencies"])))
    requirements["matplotlib-base"] = requirements.pop("matplotlib")
    assert lines(RECIPE, "  run") == requirements


def test_bounds_of_extras_are_the_same_in_the_recipe():
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    for package, bound in lines(RECIPE, "  run_constraints").items():
        assert f"{package}{bound}" in extras


def test_every_python_that_is_named_is_run_by_a_workflow():
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert len(named) >= 3
    for version in named:
        assert f'"{version}"' in (ROOT / ".github" / "workflows" / "test.yml").read_text()


def test_workflows_pin_every_action_by_commit():
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    uses = [line for path in workflows for line in path.read_text().splitlines() if "uses:" in line]
    assert len(uses) >= 10
    unpinned = [
        line for line in uses if not re.search(r"uses: [\w/.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)
    ]
    assert not unpinned


def test_all_is_every_extra_but_the_largest():
    extras = PROJECT["optional-dependencies"]
    brought = {name for name in extras if name not in ("all", "standard")}
    named = set(
        re.findall(
            r"\w+", " ".join(re.findall(r"\[(.*?)\]", " ".join([*extras["all"], *extras["standard"]])))
        )
    )
    assert named == (brought | {"standard"}) - {"gp", "ray"}


def test_targets_and_files_of_the_workflows_exist():
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    text = "".join(path.read_text() for path in workflows)
    targets = {name for line in re.findall(r"make ([a-z -]+)", text) for name in line.split()}
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"package", "docs", "nightly"} <= targets <= rules
    files = re.findall(r"(?:GITHUB_WORKSPACE/|run: )([\w.-]+/[\w./-]+|README\.md)", text)
    assert len(files) >= 3
    assert [file for file in files if not (ROOT / file).exists()] == []
