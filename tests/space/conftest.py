"""A package laid out like Keras, so that these tests need no TensorFlow."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

PUBLIC = {
    "optimizers": ("Adam", "Nadam", "RMSprop"),
    "losses": ("logcosh", "binary_crossentropy"),
    "activations": ("relu", "elu", "sigmoid"),
}


@pytest.fixture
def lookalike(monkeypatch):
    """Classes and functions defined in ``lookalike.src.<area>.impl`` and public in ``lookalike.<area>``."""
    areas = {}
    modules = {"lookalike": ModuleType("lookalike"), "lookalike.src": ModuleType("lookalike.src")}
    for area, names in PUBLIC.items():
        home = f"lookalike.src.{area}.impl"
        classes = {}
        for name in names:
            if name[0].isupper():
                classes[name] = type(name, (), {"__module__": home, "__qualname__": name})
            else:
                classes[name] = _function(name, home)
        for path in (f"lookalike.{area}", f"lookalike.src.{area}", home):
            modules[path] = ModuleType(path)
            vars(modules[path]).update(classes)
        areas[area] = SimpleNamespace(**classes)
    for path, module in modules.items():
        monkeypatch.setitem(sys.modules, path, module)
    return SimpleNamespace(**areas)


def _function(name, home):
    def made(x):
        return x

    made.__name__ = made.__qualname__ = name
    made.__module__ = home
    return made
