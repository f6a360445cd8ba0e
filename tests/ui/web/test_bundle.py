"""The built page belongs to its sources, is small, and names who wrote what is in it."""

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FRONTEND = ROOT / "frontend"
STATIC = ROOT / "refine" / "ui" / "web" / "static"


def test_the_committed_script_was_built_from_these_sources():
    digest = hashlib.sha256()
    names = ["package.json", "build.mjs", *sorted(f"src/{p.name}" for p in (FRONTEND / "src").iterdir())]
    for name in names:
        digest.update(f"{name}\n".encode())
        digest.update((FRONTEND / name).read_bytes())
    first = (STATIC / "review.js").read_text().splitlines()[0]
    assert first == f"// refine review page, built from {digest.hexdigest()}", "build it anew: make page"


def test_the_script_is_one_small_module_without_imports():
    text = (STATIC / "review.js").read_text()
    assert len(text) < 200_000
    assert not re.search(r"\bimport\s*[({\"'*]|\bfrom\s*[\"']", text)
    assert "export{" in text
    assert "@import" not in (STATIC / "review.css").read_text()
    assert "url(" not in (STATIC / "review.css").read_text()


def test_the_licences_of_bundled_packages_are_included():
    text = (STATIC / "LICENSES.txt").read_text()
    for part in ("d3-selection", "Copyright", "Permission"):
        assert part in text


def test_the_bill_of_materials_and_the_licences_list_the_same_packages():
    bill = json.loads((STATIC / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    parts = (STATIC / "LICENSES.txt").read_text().split("\n\n")
    named = {
        name
        for part in parts
        if re.fullmatch(r"-*\n?[\w, -]+", part)
        for name in re.findall(r"[a-z][\w-]+", part)
    }
    built = {name for name in named if name.startswith(("d3-", "internmap"))}
    assert {c["name"] for c in bill["components"]} == built
    pinned = json.loads((FRONTEND / "package.json").read_text())["devDependencies"]
    for component in bill["components"]:
        assert component["purl"] == f"pkg:npm/{component['name']}@{component['version']}"
        assert component["licenses"] == [{"expression": "ISC"}]
        assert component["version"] == pinned.get(component["name"], component["version"])
    assert len(bill["components"]) >= 10
