"""Metrics of a program without JSON: regular expressions on its output."""

import sys

import pytest

import refine
from refine.errors import ObjectiveError, RoundStoppedError
from refine.run.command import command_and_patterns
from refine.run.metric_pattern import MetricPattern

TRAIN = """
import sys
lr = float(sys.argv[1])
for epoch in range(3):
    print(f"Epoch {epoch}: loss {1 - epoch / 10:.2f}, val_acc={0.5 + epoch / 10 - abs(lr - 0.3):.4f}")
print("saved the model")
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(TRAIN)
    return path


@pytest.mark.parametrize(
    ("pattern", "metrics"),
    [
        ("val_acc=([0-9.]+)", {"val_acc": 0.75}),
        (r"val_acc\s*[=:]\s*([0-9.]+)", {"val_acc": 0.75}),
        (r"([0-9.]+) loss", {"value": 2.0}),
        (r"(?P<acc>0\.[0-9]+), (?P<loss>[0-9]+)", {"acc": 0.75, "loss": 2.0}),
        (r"(?:val_)acc=(?P<best>[0-9.]+)", {"best": 0.75}),
        ("speed=([0-9.]+)", {}),
    ],
)
def test_pattern_names_its_metric_by_the_group_or_by_the_word_before_the_group(pattern, metrics):
    assert MetricPattern(pattern).last_metrics("val_acc=0.5 then val_acc=0.75, 2 loss") == metrics


@pytest.mark.parametrize(
    "text", ["val_acc=[0-9.]+", "val_acc=([0-9.]+", "([a-z]+)=([0-9.]+)", 3, "a{1,4294967296}(x)"]
)
def test_pattern_without_a_clear_number_is_refused(text):
    with pytest.raises(ObjectiveError, match="metric pattern"):
        MetricPattern(text)


def test_wrong_kind_of_pattern_of_a_program_is_refused():
    with pytest.raises(ObjectiveError, match="metric pattern must be a regular expression .* got 3"):
        refine.Command("echo {lr}", metric_pattern=3)


def test_only_the_end_of_a_long_line_is_searched_and_a_cut_number_is_not_a_metric():
    line = "a" * 1_000_000
    assert MetricPattern("a*b acc=([0-9.]+)").last_metrics(line) == {}
    assert MetricPattern("acc=([0-9.]+)").last_metrics(f"{line} acc=0.5") == {"acc": 0.5}
    assert MetricPattern("([0-9]+)%").last_metrics("1234% " + "b" * 9_996) == {}


@pytest.mark.parametrize("epoch", ["nan", "inf"])
def test_an_epoch_must_be_a_number_and_the_error_shows_the_line(epoch, tree):
    program = refine.Command(
        f"echo epoch {epoch} acc {{lr}}", metric_pattern=r"epoch (?P<epoch>\S+) acc (?P<acc>\S+)"
    )
    root = tree.add_round({"lr": [0.1, 0.2]}, program, metric="acc", n=1).run()
    assert f"'epoch {epoch} acc" in root.failures["error"].iloc[0]


def test_a_captured_number_must_be_whole():
    with pytest.raises(ObjectiveError, match=r"captures '9\.5' of '9\.5e-05'"):
        MetricPattern("loss=([0-9.]+)").last_metrics("loss=9.5e-05")
    assert MetricPattern(r"loss=(\S+)").last_metrics("loss=9.5e-05") == {"loss": 9.5e-05}


def test_captured_text_must_be_a_number():
    with pytest.raises(ObjectiveError, match=r"got '1\.2\.3'"):
        MetricPattern("acc=([0-9.]+)").last_metrics("acc=1.2.3")


@pytest.mark.slow
def test_last_match_of_a_real_program_is_the_value_of_its_trial(script, tree):
    program = refine.Command(f"{sys.executable} {script} {{lr}}", metric_pattern="val_acc=([0-9.]+)")
    assert command_and_patterns(program.name) == (program.command, ["val_acc=([0-9.]+)"])
    root = tree.add_round({"lr": (0.1, 0.5, 5)}, program, metric="val_acc", n=5).run()
    assert root.trials.set_index("lr")["val_acc"].round(4).to_dict() == pytest.approx(
        {0.1: 0.5, 0.2: 0.6, 0.3: 0.7, 0.4: 0.6, 0.5: 0.5}
    )


@pytest.mark.slow
def test_group_named_epoch_makes_a_curve(script, tree):
    pattern = r"Epoch (?P<epoch>\d+): .* val_acc=(?P<val_acc>[0-9.]+)"
    program = refine.Command(f"{sys.executable} {script} {{lr}}", metric_pattern=pattern)
    root = tree.add_round({"lr": [0.3]}, program, metric="val_acc", n=1).run()
    (curve,) = root._context.reader.records([root._stored.pk], curves=True).curves
    assert list(curve["val_acc"]) == pytest.approx([0.5, 0.6, 0.7])
    assert root.best["value"] == pytest.approx(0.7)


@pytest.mark.slow
def test_program_whose_output_matches_no_pattern_fails_and_the_error_shows_its_last_line(script, tree):
    program = refine.Command(f"{sys.executable} {script} {{lr}}", metric_pattern="accuracy=([0-9.]+)")
    root = tree.add_round({"lr": [0.3, 0.4]}, program, metric="accuracy", n=2)
    with pytest.raises(RoundStoppedError) as caught:
        root.run()
    assert "pattern 'accuracy=([0-9.]+)'" in str(caught.value)
    assert "'saved the model'" in str(caught.value)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo {lr}", "parameter 'momentum' is not in it"),
        ("echo {lr} {momentum} {unit}", "{unit} is not a parameter of the space"),
        ("echo {lr} {momentum}", "put its part in brackets"),
    ],
)
def test_command_that_does_not_fit_the_space_is_refused_before_anything_is_written(command, message, tree):
    space = {"lr": [0.1, 0.2], "momentum": refine.Float(0.1, 0.9, 3, when="lr > 0.1")}
    with pytest.raises(ObjectiveError) as caught:
        tree.add_round(space, refine.Command(command), n=2)
    assert message in str(caught.value)
    assert not len(tree)
