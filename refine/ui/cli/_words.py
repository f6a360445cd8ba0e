"""Ways out as one types them: what refine says names Python's calls, and the shell has commands for those."""

from __future__ import annotations

import re

TYPED = {
    "tree.add_round(space, objective, n=100)": "refine run STORE --space FILE --objective MODULE:NAME --n 100",
    "tree.add_round(...)": "refine run STORE --space FILE --objective MODULE:NAME",
    "tree.tag(round, 'paper')": "refine tag STORE ROUND paper",
    "give another name=, or merge: tree.merge(folder)": "give another --tree, or merge in Python: tree.merge(folder)",
    "round.run(n=...)": "refine run STORE ROUND --n N",
    "run(rerun='pruned')": "refine run STORE ROUND --rerun pruned",
    "run the round first: .run()": "run the round first: refine run STORE ROUND",
    "run it first: .run()": "run it first: refine run STORE ROUND",
    "run more: .run()": "run more: refine run STORE ROUND --n N",
    "give it: run(objective=...)": "give it: --objective MODULE:NAME",
    "round.replicate(top=5, seeds=3)": "refine replicate STORE ROUND --top 5 --seeds 3",
    "round.replicate()": "refine replicate STORE ROUND",
    "round.branch(round.space, n=...)": "refine branch STORE ROUND --n N",
    "round.branch(space, previous={...})": "refine branch STORE ROUND --edit NAME=VALUE --previous NAME=VALUE",
    ".propose().accept(n=100) or .branch(space, n=100) and run the child": (
        "refine propose and refine accept, or refine branch, and run the child"
    ),
    "round.set_roles(name='scientific')": "refine roles STORE ROUND NAME=scientific",
    "by n= (a number) or downsample= (a share)": "by --n (a number) or --downsample (a share)",
    "tracebacks are in round.failures": "tracebacks are in refine failures STORE ROUND",
    "see round.failures": "see refine failures STORE ROUND",
    "n= takes a number": "--n takes a number",
    "with note=": "with --note",
}
"""What refine says -> the same in the shell."""

_OPTION = re.compile(r"\b(rerun|metric|design)='([^']+)'")
_ANY = re.compile("|".join(re.escape(said) for said in TYPED))


def in_shell(text: str) -> str:
    """A text with commands in place of the calls that it names."""
    return _OPTION.sub(r"--\1 \2", _ANY.sub(lambda found: TYPED[found[0]], text))
