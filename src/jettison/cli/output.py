"""What commands print: results on standard output, everything else on standard error."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE: Final = 200
"""Columns where the output is no terminal: a table in a log or mail must not be cut."""
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def print_json(document: Any) -> None:
    """Print one JSON object.

    Python's own encoder writes it where msgspec is not loaded yet: then the object is small, and loading msgspec would
    take longer than all else.
    """
    if "msgspec" in sys.modules:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2).decode())
    else:
        import json

        click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=_builtin))


def _builtin(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value, enc_hook=str)


def console() -> "Console":
    """Return the console for results."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, soft_wrap=not sys.stdout.isatty())


def table(*columns: str, right: tuple[str, ...] = ()) -> "Table":
    """Return an empty table; the columns in `right` hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def note(text: str) -> None:
    """Tell a person something that is no result."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """Warn a person."""
    click.echo(f"warning: {text}", err=True)


def size_text(count: int) -> str:
    """Return bytes in the unit that suits, as docker prints them (decimal)."""
    value = float(count)
    for unit in _UNITS:
        if abs(value) < 999.5 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the last unit always suits")


def exact_text(count: int) -> str:
    """Return bytes for people and to the byte: `1.2 GB (1,234,567,890 bytes)`."""
    return f"{size_text(count)} ({count:,} bytes)"


def age_text(moment: datetime | None, now: datetime) -> str:
    """Return how old something is, `?` where nobody knows."""
    from jettison.policy.clauses import duration_text

    return "?" if moment is None else duration_text(now - moment)


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return `1 tag` or `3 tags`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def progress_on_terminal(what: str) -> Callable[[int, int | None], None]:
    """Return a function that shows how far something is, on a terminal only."""
    if not sys.stderr.isatty():
        return lambda done, total: None

    def show(done: int, total: int | None) -> None:
        text = f"{what} {done:,}" + (f" of {total:,}" if total is not None else "")
        click.echo(f"\r\x1b[K{text}" + ("\r\x1b[K" if done == total else ""), err=True, nl=False)

    return show
