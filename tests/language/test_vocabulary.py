"""The words of printed texts, errors, help and pages: idiomatic English, one word per meaning."""

import re

import pytest
import texts

UNIDIOMATIC = {
    r"\banew\b": "again",
    r"\bby now\b": "so far",
    r"\bin order\b(?! to\b)": "gracefully, or the order named",
    r"\bgoes on\b": "resumes, continues",
    r"\bbeside\b": "next to, compared with, besides",
    r"\bapart\b(?!, )": "different",
    r"\b(?:is|are) (?:told|said)\b": "name the fact",
    r"\bof which\b": "a new sentence",
    r"\b(?:whoever|nobody|somebody|anybody|everybody)\b": "you, refine, the round, a trial",
    r"(?<!there )\b(?:is|are) no (?!longer\b|more\b|better\b)": "is not a",
    r"\b(?:nought|hereof|thereof|wherein)\b": "0, or the noun",
    r"; such as:": "for example",
    r"\bruns again\b": "is repeated",
    r"\bso many\b": "the number",
}
"""Pattern -> what to write instead."""

SYNONYMS = {
    r"\bhand(?:s|ed|ing)? over\b": "winner",
    r"\bdifference that matters\b": "tolerance (epsilon)",
    r"\btwentieth of the spread\b": "5 % of best - median",
    r"\bcan't be judged\b": "too few trials",
    r"\bnoise runs?\b": "repeats of the best configuration",
    r"\bno noise\b(?! seen)": "none seen: 3 repeats gave identical values",
    r"\brun anew\b": "repeat",
}
"""Synonym of a term in the glossary -> the term."""


@pytest.fixture(scope="module")
def read_texts():
    return texts.all_texts()


@pytest.mark.parametrize("pattern", [*UNIDIOMATIC, *SYNONYMS])
def test_no_text_uses_a_word_that_has_a_plainer_one(pattern, read_texts):
    instead = {**UNIDIOMATIC, **SYNONYMS}[pattern]
    matches = [
        f"{text.place}: {text.text!r}" for text in read_texts if re.search(pattern, text.text, re.IGNORECASE)
    ]
    assert not matches, f"write {instead!r} instead, at {len(matches)} places:\n" + "\n".join(matches)


def test_texts_of_every_surface_are_read(read_texts):
    places = {text.place.rsplit("/", 1)[0] for text in read_texts}
    assert {"refine/report/pages", "refine/ui/cli", "refine/tree", "frontend/src"} <= places
    assert len(read_texts) > 1000
