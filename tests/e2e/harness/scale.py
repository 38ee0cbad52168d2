"""How much of it: a test run has minutes, scripts/soak as long as one wants (PGROUTE_SOAK=1).

    for _ in range(amount(40, 10_000)): ...      40 in a test run, 10,000 in a soak

What a test draws by lot comes from dice(...), whose seed is printed and taken from PGR_SEED when that is set.
"""
import os
import random
import time

SOAK = os.environ.get("PGROUTE_SOAK") == "1"
SEED = int(os.environ.get("PGR_SEED") or time.time())


def amount(run, soak):
    return soak if SOAK else run


def dice(*names):
    """A source of random numbers for that name, the same in every run with the same seed."""
    print(f"PGR_SEED={SEED}")
    return random.Random(" ".join(map(str, (SEED, *names))))
