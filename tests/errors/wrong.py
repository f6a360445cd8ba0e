"""How a wrong use is tried: it is refused with the text that is recorded for it, and nothing was written, run or created."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from refine.errors import RefineError

FILE = Path(__file__).with_name("texts.json")
"""Test module -> name of a wrong use -> error and its whole text, with words in capitals that ``Place.said`` fills in."""


def recorded(module, name, text=None):
    """The recorded text; with REFINE_GOLDEN=1 the one given is recorded."""
    texts = json.loads(FILE.read_text())
    if os.environ.get("REFINE_GOLDEN") and text is not None:
        texts.setdefault(module, {})[name] = text
        FILE.write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n")
    return texts[module][name]


def check(place, module, name, use):
    rows, files = place.rows(), place.files()
    with pytest.raises((RefineError, TypeError)) as caught:
        use(place)
    text = f"{type(caught.value).__name__}: {caught.value}"
    assert text == place.said(recorded(module, name, place.words(text)))
    # Python's own error is right where Python checks: an argument that is missing or that nobody knows.
    assert isinstance(caught.value, RefineError) or type(caught.value) is TypeError
    assert place.rows() == rows
    assert place.files() == files
