"""An objective gets its parameters in the order of the space, in planned trials and in repeats."""

SPACE = {"units": (1, 9, 9), "lr": (0.0, 1.0, 5), "act": ["a", "b"], "dropout": (0.0, 1.0, 5)}
ORDERS = []


class Ordered:
    """Notes the order of the parameters of every call."""

    def __call__(self, params):
        ORDERS.append(tuple(params))
        units, lr, _, dropout = params.values()
        return 0.9 - abs(lr - 0.5) + 0.01 * units - 0.1 * dropout

    def holdout(self, params, trial):
        ORDERS.append(tuple(params))
        return 0.5


def test_every_trial_gets_its_parameters_in_the_order_of_the_space(tree):
    ORDERS.clear()
    configuration = {"lr": 0.25, "units": 1, "dropout": 0.0, "act": "a"}
    round_ = tree.add_round(
        SPACE, Ordered(), n=12, direction="maximize", baseline=configuration, given=[configuration]
    ).run()
    round_.add(repeat=2, seeds=2).run()
    tree.open_holdout(at=round_, top=1, seeds=1)
    round_.replay(sample=3)
    round_.propose().accept(n=4, exploit=0.5).run()
    assert set(ORDERS) == {tuple(SPACE)}
