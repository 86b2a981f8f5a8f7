"""Problem: what could not be read, told as a value so that the rest goes on."""

from typing import NamedTuple


class Problem(NamedTuple):
    """Something that could not be read, in words for a person.

    `blocks` tells whether the repository must therefore lose nothing (promise 2); a problem that hides nothing which
    could be needed, such as a missing config blob, does not block.
    """

    code: str
    text: str
    blocks: bool = True
