"""The built page belongs to its sources, is small, and names who wrote what is in it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FRONTEND, STATIC = ROOT / "frontend", ROOT / "refine" / "ui" / "web" / "static"


def test_what_is_committed_was_built_from_these_sources():
    digest = hashlib.sha256()
    names = ["package.json", "build.mjs", *sorted(f"src/{p.name}" for p in (FRONTEND / "src").iterdir())]
    for name in names:
        digest.update(f"{name}\n".encode())
        digest.update((FRONTEND / name).read_bytes())
    first = (STATIC / "review.js").read_text().splitlines()[0]
    assert first == f"// refine review page, built from {digest.hexdigest()}", "build it anew: make page"


def test_it_is_one_small_module_without_imports():
    text = (STATIC / "review.js").read_text()
    assert len(text) < 200_000
    assert not re.search(r"\bimport\s*[({\"'*]|\bfrom\s*[\"']", text)
    assert "export{" in text
    assert "@import" not in (STATIC / "review.css").read_text()
    assert "url(" not in (STATIC / "review.css").read_text()


def test_the_licence_of_what_is_in_it_travels_along():
    text = (STATIC / "LICENSES.txt").read_text()
    assert "Mike Bostock" in text
    assert "d3-selection" in text
    assert "Permission to use, copy, modify" in text
