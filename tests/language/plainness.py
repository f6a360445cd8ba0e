"""Rates of plain writing, per folder: words of docstrings, names, density of code, sentences of pages.

``python tests/language/plainness.py`` prints them next to the record; ``--write`` records the rates of now.
"""

import argparse
import ast
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("rates.json")
WIDTH = 110
PROSE_WIDTH = 120
PROSE = "docs and README.md"
LONG_SENTENCE = 30

PRONOUNS = frozenset(
    """
    all another any anybody anything both each every everybody everything here it its nobody none
    nothing one ones others same so somebody something such that there these this those what whatever
    where which who whoever whom whose
    """.split()  # noqa: SIM905
)
VAGUE_NAMES = frozenset(
    """
    again all another any anything apart are asked asks at be been beside both by came can come comes
    could each else every everyone everything few first_of found fresh gave given goes gone got had has
    have held here how it its kept knows known last_of least left less look looked looks made many may
    mine more most much must no none not_ nothing now of one ones others ours own put read_of rest said
    same says seen sees shall should since so something stay stays such taken tell tells theirs them
    then there these they this those to told wanted wants was were what when where whether which who
    whole whom whose why will with_ would yes
    """.split()  # noqa: SIM905
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def _parsed(path):
    """The syntax tree and the source of a file, without the lines that are exempt."""
    source = path.read_text("utf-8")
    if "# language: ok" in source:
        source = "\n".join(line for line in source.splitlines() if "# language: ok" not in line)
    return ast.parse(source), source


def rates_of_code(folder):
    """Rates of the Python files below a folder; the measures of size are per 1,000 statements."""
    counts = Counter()
    for path in sorted(folder.rglob("*.py")):
        counts.update(_counts_of_module(*_parsed(path)))
    words = max(1, counts["words"])
    statements = max(1, counts["statements"]) / 1000
    return {
        "pronouns per 1,000 docstring words": round(1000 * counts["pronouns"] / words, 1),
        "docstrings that open with a relative clause": counts["clauses"],
        "vague names, % of bindings": round(100 * counts["vague"] / max(1, counts["bindings"]), 2),
        "lines over 110 columns": counts["long"],
        "nested conditional expressions": counts["nested"],
        "conditional expressions per 1,000 statements": round(counts["conditionals"] / statements, 1),
        "parallel assignments per 1,000 statements": round(counts["parallel"] / statements, 1),
        "calls with 7 or more positional arguments": counts["positional"],
    }


def _counts_of_module(module, source):
    counts = Counter()
    counts["long"] = sum(len(line) > WIDTH for line in source.splitlines())
    for node in ast.walk(module):
        if isinstance(node, DOCUMENTED) and (docstring := ast.get_docstring(node)):
            words = words_of(docstring)
            counts["words"] += len(words)
            counts["pronouns"] += sum(word.lower() in PRONOUNS for word in words)
            counts["clauses"] += docstring.startswith(("What ", "Which ", "How far ", "Whether "))
        counts["statements"] += isinstance(node, ast.stmt)
        for name in _bound_names(node):
            counts["bindings"] += 1
            counts["vague"] += name.strip("_") in VAGUE_NAMES
        match node:
            case ast.IfExp(test=test, body=body, orelse=orelse):
                counts["conditionals"] += 1
                counts["nested"] += any(isinstance(part, ast.IfExp) for part in (test, body, orelse))
            case ast.Assign(value=ast.Tuple(), targets=targets):
                counts["parallel"] += any(isinstance(target, ast.Tuple) for target in targets)
            case ast.Call(args=arguments):
                counts["positional"] += len(arguments) >= 7
    return counts


def wording_rate(folder):
    """Share of assertions that compare prose: two words next to each other, outside commands and options."""
    asserted = [
        node.test
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(_parsed(path)[0])
        if isinstance(node, ast.Assert)
    ]
    worded = [test for test in asserted if any(map(_is_prose, ast.walk(test)))]
    return {"assertions on wording, %": round(100 * len(worded) / max(1, len(asserted)), 1)}


def _is_prose(node):
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return False
    text = re.sub(r"refine \w+.*|--[a-z].*|\S+\.db.*", "", node.value)
    return bool(re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", text))


def _bound_names(node):
    """The names of locals, arguments and loop variables that a node binds."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return () if node.id == "_" else (node.id,)
    if isinstance(node, ast.arg):
        return () if node.arg in ("self", "cls", "_") else (node.arg,)
    return ()


def words_of(text):
    """Words of prose: without code blocks, examples, tables, code in backticks and addresses of links."""
    text = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    text = re.sub(r"^(    |>>>|\.\.\. |\|).*$", " ", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)|`[^`]*`|<!--.*?-->", " ", text, flags=re.DOTALL)
    return re.findall(r"[A-Za-z][A-Za-z'-]*", text)


def rates_of_prose(paths):
    """Rates of markdown files."""
    counts = Counter()
    for path in paths:
        text = path.read_text("utf-8")
        words = words_of(text)
        counts["words"] += len(words)
        counts["pronouns"] += sum(word.lower() in PRONOUNS for word in words)
        counts["wide"] += _wide_lines(text)
        for sentence in _sentences(text):
            counts["sentences"] += 1
            counts["sentence words"] += len(sentence.split())
            counts["long sentences"] += len(sentence.split()) > LONG_SENTENCE
    sentences = max(1, counts["sentences"])
    return {
        "pronouns per 1,000 words": round(1000 * counts["pronouns"] / max(1, counts["words"]), 1),
        "words a sentence": round(counts["sentence words"] / sentences, 1),
        "sentences over 30 words, %": round(100 * counts["long sentences"] / sentences, 1),
        "lines over 120 columns": counts["wide"],
    }


def _wide_lines(text):
    """Lines over 120 columns outside tables and code blocks, without link addresses."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    return sum(len(line) > PROSE_WIDTH for line in prose.splitlines() if not line.startswith("|"))


def _sentences(text):
    prose = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    prose = re.sub(r"^(\||#|    |<!--|:::).*$", "\n\n", prose, flags=re.MULTILINE)
    parts = re.split(r"(?<=[.!?:])\s+|\n\n|\n- ", prose)
    return [part for part in parts if len(part.split()) > 3]


def places():
    """The folders of the package, its tests, and the documentation."""
    folders = sorted(path.parent.name for path in (ROOT / "refine").glob("*/*.py"))
    return [*(f"refine/{name}" for name in dict.fromkeys(folders)), "tests", PROSE]


def rates_of(place):
    """The rates of one of ``places()``."""
    if place == PROSE:
        return rates_of_prose([*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"])
    rates = rates_of_code(ROOT / place)
    if place == "tests":
        rates |= wording_rate(ROOT / place)
    return rates


def recorded():
    """The rates on record, which may only fall."""
    return dict(json.loads(RECORD.read_text("utf-8")))


def main():
    """Print the rates of now beside the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="record the rates of now")
    arguments = parser.parse_args()
    rates_now = {place: rates_of(place) for place in places()}
    record = recorded() if RECORD.exists() else {}
    for folder, rates in rates_now.items():
        print(folder)
        for measure, rate in rates.items():
            print(
                f"  {measure:50} {rate:8g}  on record {record.get(folder, {}).get(measure, float('nan')):8g}"
            )
    if arguments.write:
        RECORD.write_text(json.dumps(rates_now, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
