"""Words of other tools, with the commands and options of refine."""

from __future__ import annotations

from collections.abc import Collection

from refine.ui.project import KEYS

# Words in place of a command -> the command.
_COMMANDS = {
    "review STORE": "board dashboard lab notebook serve server ui web",
    "show STORE": "history list log ls rounds status tree trials",
    "show STORE --failures": "errors failures",
    "winner STORE": "best best-trial front pareto",
    "run STORE": "optimize optimise resume search start train tune",
    "init": "create create-study new",
    "add STORE --given 'lr=0.1 units=64'": "enqueue suggest tell try",
    "analyze STORE": "analyse explain importance stats",
    "analyze STORE --checks": "check checks",
    "ask STORE": "question questions",
    "propose STORE": "narrow proposal refine",
    "propose STORE --options": "menu options",
    "accept STORE --preview": "preview",
    "judge STORE A B": "compare",
    "import SOURCE STORE": "load",
    "export STORE --backup FILE": "backup copy",
    "exclude STORE ROUND --undo": "include",
    "doctor STORE --repair": "repair",
    "delete STORE ROUND": "remove rm",
    "--help": "commands help",
    "--version": "version",
}
CALLS = {word: f"refine {call}" for call, words in _COMMANDS.items() for word in words.split()}
"""Word of a different tool -> call to type."""

_STORE = ("--db", "--database", "--logdir", "--storage", "--store")
_HOST = ("--bind", "--bind_all", "--host", "--ip")
_OPTIONS = {
    "-n": "--n-trials --num-samples --n_trials --samples --trials",
    "--workers": "--jobs --n-jobs --n_jobs --parallel --processes",
    "--tree": "--name --study --study-name",
    "--hours": "--duration --time",
    "--quiet": "--no-progress --silent",
}


def fix_of(option: str, options: Collection[str]) -> str:
    """The fix for an unknown option of a command with ``options``; empty without a fix."""
    if option in _STORE:
        return "the store is the first argument"
    if option in _HOST and "--behind" in options:
        return "the page is served to this machine alone; for a team write --behind ORIGIN, a proxy"
    for name, words in _OPTIONS.items():
        if name in options and option in words.split():
            return f"write {name}"
    for table, keys in KEYS.items():
        if option.removeprefix("--") in keys and "--set" in options:
            return f"write --set {table}.{option.removeprefix('--')}=VALUE"
    return ""
