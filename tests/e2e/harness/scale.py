"""How much of it: a test run has minutes, scripts/soak as long as one wants (PGROUTE_SOAK=1).

    for _ in range(amount(40, 10_000)): ...      40 in a test run, 10,000 in a soak
    seconds(60, 600)                             60 in a test run, 600 in a soak, or as many as the soak has left

What a test draws by lot comes from dice(...), whose seed is printed and taken from PGR_SEED when that is set.
"""
import os
import random
import time

SOAK = os.environ.get("PGROUTE_SOAK") == "1"
LEFT = int(os.environ.get("PGROUTE_SOAK_LEFT") or 1 << 40)
SEED = int(os.environ.get("PGR_SEED") or time.time())


def amount(run, soak):
    return soak if SOAK else run


def seconds(run, soak):
    """For how long there is load: at the end of a soak as long as leaves time for what comes behind it, but no less than in a run."""
    return max(run, min(soak, LEFT - 60)) if SOAK else run


def dice(*names):
    """A source of random numbers for that name, the same in every run with the same seed."""
    print(f"PGR_SEED={SEED}")
    return dice_of(*names)


def dice_of(*names):
    """The same without a word, for those who need hundreds."""
    return random.Random(" ".join(map(str, (SEED, *names))))
