"""Random cron expressions, as people write them: stars, lists, ranges, steps and names."""

from hypothesis import strategies as st

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@st.composite
def terms(draw: st.DrawFn, low: int, high: int, names: tuple[str, ...]) -> str:
    def shown(number: int) -> str:
        named = names and number - low < len(names) and draw(st.booleans())
        return names[number - low] if named else str(number)

    first, last = sorted(draw(st.tuples(st.integers(low, high), st.integers(low, high))))
    base = draw(st.sampled_from(["*", shown(first), f"{shown(first)}-{shown(last)}"]))
    step = draw(st.none() | st.integers(1, high + 3))
    return base if step is None else f"{base}/{step}"


def fields(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    return st.lists(terms(low, high, names), min_size=1, max_size=3).map(",".join) | st.just("*")


def expressions() -> st.SearchStrategy[str]:
    # Days up to 28 for most: a 31st of February alone is refused, as it should be.
    return st.tuples(
        fields(0, 59), fields(0, 23), fields(1, 28) | fields(1, 31), fields(1, 12, MONTHS), fields(0, 7, WEEKDAYS)
    ).map(" ".join)
