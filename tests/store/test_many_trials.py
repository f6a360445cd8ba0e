"""A study of 100,000 trials, looked at by one process while another one writes."""

import subprocess
import sys

import pytest

import refine
from nightly import nightly

WRITER = """
import sys
import refine

def objective(params):
    return {"value": params["x"] + params["y"], "twice": 2 * (params["x"] + params["y"])}

tree = refine.Tree("large", store=sys.argv[1])
space = {"x": (0.0, 1.0, 1001), "y": (0.0, 1.0, 1001)}
root = tree.add_round(space, objective, n=int(sys.argv[2]), seed=1, metric=refine.Goal("value", noise="none"))
print("ready", flush=True)
sys.stdin.readline()
root.run(machine=refine.Machine(progress=False))
"""


@pytest.mark.parametrize("n", [pytest.param(2_000, marks=pytest.mark.slow), nightly(100_000)])
@pytest.mark.parametrize("url", ["sqlite", nightly("postgresql")], indirect=True)
def test_looks_see_whole_trials_while_another_process_writes(url, n, tmp_path):
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    command = [sys.executable, str(script), url, str(n)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "ready\n"
        writer.stdin.write("go\n")
        writer.stdin.flush()
        lengths = [0]
        while writer.poll() is None or lengths[-1] < n:
            ended = writer.poll()
            with refine.Tree("large", store=url, create=False) as tree:
                trials = tree.rounds[0].trials
                assert len(trials) >= lengths[-1]
                lengths.append(len(trials))
                if len(trials):
                    assert (trials["twice"] == 2 * trials["value"]).all()
                    assert trials["value"].notna().all()
                    assert not trials.duplicated(["x", "y"]).any()
                if 10 <= len(trials) <= 20_000:
                    tree.rounds[0].analyze()
                str(tree)
            if ended is not None:
                break
    assert writer.returncode == 0
    assert lengths[-1] == n
