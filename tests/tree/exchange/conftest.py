import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "rate": 10 ** rng.uniform(-4, -1, 40),
            "units": rng.choice([8, 16, 32, 64], 40),
            "optimizer": rng.choice(["Adam", "SGD"], 40),
            "epochs": 20,
        }
    )
    table["acc"] = 1 - (np.log10(table["rate"]) + 2.5) ** 2 / 10 - 0.05 * (table["optimizer"] == "SGD")
    table.loc[3, "acc"] = np.nan
    return table
