"""Parts of printed values that tests compare: facts by label, reasons by code, numbers in a text."""

import re


def facts_of(printed):
    """The labelled facts of a page, as texts by label."""
    return {label: cell.text for label, cell in printed._page().facts}


def warnings_of(printed):
    """The texts of the facts that warn."""
    return [cell.text for _, cell in printed._page().facts if cell.tone == "warn"]


def reasons_of(holder):
    """The values of the reasons of a change, a finding or a next step, by code."""
    return {reason.code: dict(reason.values) for reason in holder.reasons}


def codes_of(reasons):
    """The codes of reasons, in order."""
    return [reason.code for reason in reasons]


def numbers_in(text):
    """The numbers in a text, as written."""
    return re.findall(r"\d[\d.,]*(?<=\d)", text)
