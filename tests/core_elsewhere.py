"""A study with the core alone, from the first proposal to reports; prints JSON for tests/test_core.py."""

import importlib.metadata
import json
import re
import sys
from pathlib import Path

import refine
from refine.errors import AnalysisError, RefineError
from refine.tree.exchange.optuna import to_study


def score(p):
    return 1 - 0.02 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"]


def accuracy(p):
    from sklearn.datasets import load_iris
    from sklearn.model_selection import cross_val_score
    from sklearn.svm import SVC

    return cross_val_score(SVC(C=p["C"], gamma=p["gamma"]), *load_iris(return_X_y=True), cv=3).mean()


def readme(page):
    """Runs the page's blocks that need no Keras, one after the other; their number."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    names = {"__name__": "__main__"}
    ran = 0
    for block in blocks:
        if "keras" not in block:
            exec(compile(block, page.name, "exec"), names)
            ran += 1
    return ran


def said(call):
    """The text of the error that a call raises."""
    try:
        call()
    except RefineError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def served(root):
    from refine.ui.web.server import Server
    from refine.ui.web.session import Session

    Server(Session(root, 0.05))


def assistant(tree):
    from refine.ui.assistant import Assistant
    from refine.ui.mcp import server_of

    server_of(Assistant(lambda: tree, "agent", None, False, lambda arguments: {}))


def trackers(name, *arguments):
    import refine.report.trackers as module

    getattr(module, name)(*arguments)


def keras():
    import refine.keras  # noqa: F401


def main():
    ran = readme(Path(sys.argv[1]))
    tree = refine.Tree("study", store="study.db")
    space = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}
    root = tree.add_round(space, score, n=40, seed=7).run()
    proposal = root.propose(risk=0.05)
    root.report("reports")
    page = root.report("reports", html=True)
    learned = tree.add_round({"C": [0.1, 1, 10], "gamma": [0.01, 0.1]}, accuracy, n=4, seed=1)
    learned.run(workers=2)
    refused = {
        "tpe": said(lambda: tree.add_round(space, score, n=5, plan=refine.Plan(design="tpe"))),
        "to_optuna": said(lambda: to_study(root)),
        "add_runs": said(lambda: tree.add_runs("sqlite:///other.db")),
        "web": said(lambda: served(root)),
        "notebook": said(proposal.show),
        "mcp": said(lambda: assistant(tree)),
        "postgresql": said(lambda: refine.Tree("study", store="postgresql://nobody@localhost/none")),
        "keras": said(keras),
        "dask": said(lambda: refine.DaskExecutor(None)),
        "ray": said(refine.RayExecutor),
        "mlflow": said(lambda: trackers("MLflow")),
        "tensorboard": said(lambda: trackers("TensorBoard", "events")),
    }
    assert issubclass(AnalysisError, RefineError)
    facts = {
        "python": list(sys.version_info[:2]),
        "packages": sorted({d.metadata["Name"].lower() for d in importlib.metadata.distributions()}),
        "readme": ran,
        "proposal": str(proposal),
        "html": page.read_text(encoding="utf-8")[:15],
        "reports": len(list(Path("reports").rglob("*.md"))),
        "accuracy": learned.best.value,
        "refused": refused,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
