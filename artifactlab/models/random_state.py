"""Random numbers that a forward pass draws: the same each time, and the process's own left as they were."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_one_at_a_time = threading.RLock()
"""The generators belong to the process, so a pass of another thread would draw from ours."""


@contextmanager
def random_states_kept(seed: int | None = None) -> Iterator[None]:
    """Generators of torch, numpy and Python as they were afterwards; inside they start from `seed`, if one is given."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with _one_at_a_time, torch.random.fork_rng(devices=list(devices)):
        python, numpy = random.getstate(), np.random.get_state()
        try:
            if seed is not None:
                torch.manual_seed(seed)
                random.seed(seed)
                np.random.seed(seed % 2**32)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
