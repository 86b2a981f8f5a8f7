"""Options that reach a command together, as one value."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def grouped(
    function: CommandT,
    name: str,
    choice: Any,
    options: Sequence[Callable[[Any], Any]],
    **otherwise: Any,
) -> CommandT:
    """Give a command `options`; it gets them as `name`, a value of the named tuple `choice`.

    `otherwise` has fields that no option of the command may have given.
    """

    def wrapped(**values: Any) -> Any:
        fields = {each: values.pop(each) for each in choice._fields if each in values}
        return function(**{name: choice(**(otherwise | fields))}, **values)

    # What click finds on a command: its own parameters and its help.
    wrapped.__doc__ = function.__doc__
    wrapped.__name__ = function.__name__
    made: Any = wrapped
    made.__click_params__ = list(getattr(function, "__click_params__", []))
    for option in reversed(options):
        made = option(made)
    return cast("CommandT", made)
