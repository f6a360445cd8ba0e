"""Regular expressions for metrics in the output of a program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from refine.errors import ObjectiveError

_LONGEST = 10_000  # last characters of a line that are searched: the time of a search can grow quadratically
_ESCAPE = re.compile(r"\\.")
_LAST_WORD = re.compile(r"([A-Za-z_]\w*)\W*$")


class MetricPattern:
    """A regular expression for metrics in a line of output.

    Args:
        text: The expression. A named group, ``(?P<val_acc>[0-9.]+)``, names its metric. A single group
            without a name takes the word before the group: ``val_acc=([0-9.]+)`` captures ``val_acc``, and
            ``([0-9.]+)%`` captures ``value``.

    Raises:
        ObjectiveError: The text is no regular expression, or its groups have no clear names.
    """

    def __init__(self, text: str) -> None:
        rule = "a metric pattern must be a regular expression with a group for the number"
        example = r"for example 'val_acc=(\S+)'"
        if not isinstance(text, str):
            raise ObjectiveError(f"{rule}, got {text!r}; {example}")
        try:
            self.expression = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ObjectiveError(f"{rule}, got {text!r} ({error}); {example}") from None
        names = {number: name for name, number in self.expression.groupindex.items()}
        if not self.expression.groups:
            raise ObjectiveError(f"{rule}, got {text!r} without a group; {example}")
        if not names and self.expression.groups == 1:
            # The last word before the group, if there is a word.
            words = _LAST_WORD.findall(_ESCAPE.sub(" ", text).split("(")[0])
            names = {1: [*words, "value"][0]}
        if not names:
            raise ObjectiveError(
                f"a metric pattern with several groups must name its metrics, got {text!r}; write "
                "(?P<val_acc>[0-9.]+) for a metric, and (?:...) for a group that is none"
            )
        self.text = text
        self.names = names  # number of a group -> name of its metric

    def last_metrics(self, line: str) -> dict[str, float]:
        """Metrics of the last match in a line, or in its last 10,000 characters; empty without a match.

        Raises:
            ObjectiveError: A captured text is not a number.
        """
        metrics = {}
        end = line[-_LONGEST:]
        if len(line) > _LONGEST:  # from a blank on: half a number is no metric
            end = end[end.find(" ") + 1 :]
        for match in self.expression.finditer(end):
            for number, name in self.names.items():
                captured = match[number]
                if captured is not None:
                    self._check_whole(captured, end[match.end(number) :], line)
                    metrics[name] = self._number(captured, line)
        return metrics

    def _check_whole(self, captured: str, following: str, line: str) -> None:
        """Raises ObjectiveError if a captured number goes on with an exponent: 9.5 of 9.5e-05."""
        exponent = re.match(r"[eE][+-]?\d+", following)
        if exponent and captured[-1:].isdigit():
            raise ObjectiveError(
                f"metric pattern {self.text!r} captures {captured!r} of {captured + exponent[0]!r} in the "
                f"line {line.strip()!r:.200}; capture the whole number, for example with (\\S+)"
            )

    def _number(self, captured: str, line: str) -> float:
        try:
            return float(captured)
        except ValueError:
            raise ObjectiveError(
                f"metric pattern {self.text!r} must capture a number, got {captured!r} in the line "
                f"{line.strip()!r:.200}"
            ) from None


def patterns_of(texts: str | Sequence[str] | None) -> tuple[MetricPattern, ...]:
    """The patterns of a text or of several texts; empty for ``None``."""
    if texts is None:
        return ()
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        return (MetricPattern(texts),)
    return tuple(MetricPattern(text) for text in texts)
