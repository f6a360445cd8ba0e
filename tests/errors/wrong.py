"""The recorded texts of errors."""

import json
import os
from pathlib import Path

FILE = Path(__file__).with_name("texts.json")
"""Test module -> name of a wrong use -> error and full text; ``Place.said`` fills in words in capitals."""


def recorded(module, name, text=None):
    """The recorded text; with REFINE_GOLDEN=1 the one given is recorded."""
    texts = json.loads(FILE.read_text())
    if os.environ.get("REFINE_GOLDEN") and text is not None:
        texts.setdefault(module, {})[name] = text
        FILE.write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n")
    return texts[module][name]
