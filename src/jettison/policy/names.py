"""Which names a pattern can match at all, and whether others match them too: what the warnings about a policy need.

A pattern is a regular language here, and questions about it are answered with derivatives (Brzozowski, 1964; Owens,
Reppy and Turon, "Regular-expression derivatives re-examined", 2009), which know intersection and complement too. What
is no regular language, or grows too large, raises UnknownNamesError: then nobody warns of anything.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/"
"""Every character that a tag or a repository's name may have (distribution-spec, "Pulling manifests")."""
_BITS: Final = {character: 1 << number for number, character in enumerate(_ALPHABET)}
ALL: Final = (1 << len(_ALPHABET)) - 1
MOST_WORK: Final = 400_000
"""How many steps a question may take: milliseconds for what people write, half a second at worst."""

Names = int
"""A set of names, as its number in a Book."""


class UnknownNamesError(ValueError):
    """Nobody can tell which names a pattern matches: it is no regular language, or too large a one."""


def mask(characters: Iterable[str]) -> int:
    """Return a set of characters; those that no name can have are left out."""
    made = 0
    for character in characters:
        made |= _BITS.get(character, 0)
    return made


class Book:
    """Holds sets of names, each written down once, so that equal ones have one number."""

    def __init__(self) -> None:
        self._nodes: list[tuple[object, ...]] = []
        self._nullable: list[bool] = []
        self._numbers: dict[tuple[object, ...], Names] = {}
        self._derived: dict[tuple[Names, int], Names] = {}
        self._masks: set[int] = set()
        self._work = 0
        self.nothing: Names = self._number(("chars", 0), nullable=False)
        """No name at all."""
        self.empty: Names = self._number(("empty",), nullable=True)
        """The empty name alone."""
        self.anything: Names = self._number(("not", self.nothing), nullable=True)
        """Every name."""

    def _number(self, node: tuple[object, ...], *, nullable: bool) -> Names:
        number = self._numbers.get(node)
        if number is None:
            number = self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
            self._nullable.append(nullable)
        return number

    def one_of(self, characters: int) -> Names:
        """The names of one character of a mask."""
        self._masks.add(characters)
        return self._number(("chars", characters), nullable=False)

    def text(self, text: str) -> Names:
        """One name."""
        return self.sequence([self.one_of(mask(character)) for character in text])

    def sequence(self, parts: Iterable[Names]) -> Names:
        """A name of each, one behind the other."""
        made = self.empty
        for part in reversed(list(parts)):
            made = self._followed(part, made)
        return made

    def _followed(self, first: Names, second: Names) -> Names:
        if self.nothing in (first, second):
            return self.nothing
        if first == self.empty:
            return second
        if second == self.empty:
            return first
        match self._nodes[first]:
            case ("then", int() as head, int() as tail):
                return self._followed(head, self._followed(tail, second))
        return self._number(("then", first, second), nullable=self._nullable[first] and self._nullable[second])

    def either(self, parts: Iterable[Names]) -> Names:
        """The names of any."""
        found = self._flat("or", parts) - {self.nothing}
        if self.anything in found:
            return self.anything
        if len(found) < 2:
            return found.pop() if found else self.nothing
        return self._number(("or", *sorted(found)), nullable=any(self._nullable[each] for each in found))

    def both(self, parts: Iterable[Names]) -> Names:
        """The names that all have in common."""
        found = self._flat("and", parts) - {self.anything}
        if self.nothing in found:
            return self.nothing
        if len(found) < 2:
            return found.pop() if found else self.anything
        return self._number(("and", *sorted(found)), nullable=all(self._nullable[each] for each in found))

    def _flat(self, kind: str, parts: Iterable[Names]) -> set[Names]:
        found: set[Names] = set()
        for part in parts:
            node = self._nodes[part]
            found.update(each for each in node[1:] if isinstance(each, int)) if node[0] == kind else found.add(part)
        return found

    def other_than(self, names: Names) -> Names:
        """All names but these."""
        match self._nodes[names]:
            case ("not", int() as inner):
                return inner
        return self._number(("not", names), nullable=not self._nullable[names])

    def without(self, names: Names, others: Names) -> Names:
        """`names` but for those of `others`."""
        return self.both((names, self.other_than(others)))

    def repeated(self, names: Names, low: int, high: int | None) -> Names:
        """From `low` to `high` of them, one behind the other; None for no end."""
        if high == 0 or names == self.empty:
            return self.empty
        if names == self.nothing:
            return self.empty if low == 0 else self.nothing
        if (low, high) == (1, 1):
            return names
        if self._nullable[names]:
            low = 0
        return self._number(("repeat", names, low, high), nullable=low == 0)

    def shortest(self, names: Names) -> str | None:
        """Return a shortest name of the set, None where it has none. Raises UnknownNamesError."""
        self._work = 0
        letters = self._letters()
        seen = {names}
        waiting = deque([(names, "")])
        while waiting:
            state, text = waiting.popleft()
            if self._nullable[state]:
                return text
            for letter in letters:
                try:
                    following = self._derive(state, letter)
                except RecursionError as error:
                    raise UnknownNamesError("nested too deeply") from error
                if following not in seen and following != self.nothing:
                    seen.add(following)
                    waiting.append((following, text + _ALPHABET[letter]))
        return None

    def _letters(self) -> list[int]:
        """Return one character of each kind that the sets tell apart."""
        kinds = [ALL]
        for characters in self._masks:
            kinds = [part for kind in kinds for part in (kind & characters, kind & ~characters) if part]
        return sorted((kind & -kind).bit_length() - 1 for kind in kinds)

    def _derive(self, names: Names, letter: int) -> Names:
        """Return what may follow `letter` at the beginning of a name."""
        known = self._derived.get((names, letter))
        if known is None:
            node = self._nodes[names]
            # How long a step takes goes with the size of what is stepped through.
            self._work += len(node) if node[0] in ("or", "and") else 2
            if self._work > MOST_WORK:
                raise UnknownNamesError("too large a set")
            known = self._derived[names, letter] = self._derivative(names, letter)
        return known

    def _derivative(self, names: Names, letter: int) -> Names:
        match self._nodes[names]:
            case ("chars", int() as characters):
                return self.empty if characters >> letter & 1 else self.nothing
            case ("then", int() as first, int() as second):
                whole = self._followed(self._derive(first, letter), second)
                return self.either((whole, self._derive(second, letter))) if self._nullable[first] else whole
            case ("or", *parts):
                return self.either(self._derive(each, letter) for each in parts if isinstance(each, int))
            case ("and", *parts):
                return self.both(self._derive(each, letter) for each in parts if isinstance(each, int))
            case ("not", int() as inner):
                return self.other_than(self._derive(inner, letter))
            case ("repeat", int() as inner, int() as low, high):
                left = high - 1 if isinstance(high, int) else None
                return self._followed(self._derive(inner, letter), self.repeated(inner, max(low - 1, 0), left))
        return self.nothing
