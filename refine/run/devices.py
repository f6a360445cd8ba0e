"""Which GPUs workers see: each one of them, in turn."""

from __future__ import annotations

import os
import re
from typing import Any

from refine.errors import DesignError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_MOST = 1024


def visible() -> list[str]:
    """The GPUs that ``CUDA_VISIBLE_DEVICES`` lists; empty where it lists none."""
    return [part.strip() for part in os.environ.get(VISIBLE, "").split(",") if part.strip()]


def devices_of(gpus: Any, executor: Any = None) -> tuple[str, ...] | None:
    """What each worker may see, in turn.

    Args:
        gpus: How many of those that are visible, or which: numbers, or names such as ``"GPU-8932f937"``; ``None`` where
            nobody said.
        executor: Somebody's executor, whose workers are not ours.

    Returns:
        Values of ``CUDA_VISIBLE_DEVICES``, a worker each; one that is empty for no GPU at all.

    Raises:
        DesignError: Neither, more than are visible, or together with an executor.
    """
    if gpus is None:
        return None
    if executor is not None:
        raise DesignError(
            "gpus is for workers of this machine, and an executor has its own; have the executor's workers see one GPU each, and on "
            "Dask take those that offer one: executor=client.get_executor(pure=False, retries=0, resources={'GPU': 1})"
        )
    known = visible()
    if isinstance(gpus, int) and not isinstance(gpus, bool) and 0 <= gpus <= _MOST:
        if known and gpus > len(known):
            raise DesignError(
                f"gpus must be at most the {len(known)} that {VISIBLE} lists ({','.join(known)}), got {gpus}"
            )
        return tuple((known or [str(i) for i in range(gpus)])[:gpus]) or ("",)
    if isinstance(gpus, list | tuple) and gpus and all(_names_one(gpu) for gpu in gpus):
        return tuple(str(gpu) for gpu in gpus)
    raise DesignError(
        f"gpus must be how many, or a list of which, got {gpus!r}; such as gpus=2, gpus=[0, 3], or gpus=0 for none"
    )


def _names_one(gpu: Any) -> bool:
    if isinstance(gpu, str):
        return re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", gpu) is not None
    return isinstance(gpu, int) and not isinstance(gpu, bool) and 0 <= gpu <= _MOST
