"""How Python is set up for a process of our own; as a library we leave it as it is."""

import gc
from typing import Final

_ALLOCATIONS: Final = 100_000


def set_up_interpreter() -> None:
    """Look for cycles seldom: an inventory is millions of values without any, and walking them costs a tenth of a plan.

    What cycles there are (exceptions, closed connections) are few and small.
    """
    gc.set_threshold(_ALLOCATIONS, 50, 100)
