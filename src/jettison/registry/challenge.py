"""Challenge: one offer of a `WWW-Authenticate` header (RFC 9110, 11.6.1)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# RFC 9110, 5.6.2 and 5.6.4; token68 is 11.2.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  (a grammar rule's name, no secret)
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|$|(?=[ \t]*,))")
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))', re.DOTALL)
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")
_SEPARATOR = re.compile(r"[ \t]*(?:,[ \t]*)*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A scheme in lower case (`basic`, `bearer`) and its parameters, names in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def realm(self) -> str:
        """For Bearer: the token service's URL (distribution, spec/auth/token.md)."""
        return self.parameters.get("realm", "")


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read every challenge of all `WWW-Authenticate` headers of an answer, in order.

    One header may hold several, and commas separate parameters as well as challenges. Reading of a header ends where
    it stops being well-formed: what came before counts.
    """
    return tuple(challenge for header in headers for challenge in _parse(header))


def _parse(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = _after_separator(header, 0)
    while scheme := _SCHEME.match(header, position):
        position = scheme.end()
        parameters: dict[str, str] = {}
        if (token68 := _TOKEN68.match(header, position)) and not _PARAMETER.match(header, position):
            position = token68.end()
        while parameter := _PARAMETER.match(header, position):
            name, quoted, plain = parameter.groups()
            parameters.setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
            position = _after_separator(header, parameter.end())
        found.append(Challenge(scheme[1].lower(), parameters))
        position = _after_separator(header, position)
    return found


def _after_separator(header: str, position: int) -> int:
    match = _SEPARATOR.match(header, position)
    return match.end() if match else position
