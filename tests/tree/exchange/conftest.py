import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "rate": 10 ** rng.uniform(-4, -1, 40),
            "units": rng.choice([8, 16, 32, 64], 40),
            "optimizer": rng.choice(["Adam", "SGD"], 40),
            "epochs": 20,
        }
    )
    made["acc"] = 1 - (np.log10(made["rate"]) + 2.5) ** 2 / 10 - 0.05 * (made["optimizer"] == "SGD")
    made.loc[3, "acc"] = np.nan
    return made
