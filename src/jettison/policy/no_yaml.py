"""What is said of a text that is no YAML."""

from collections.abc import Iterator
from contextlib import contextmanager

from jettison.errors import ConfigurationError


@contextmanager
def refusing_what_is_no_yaml(source: str) -> Iterator[None]:
    """Raise ConfigurationError for what ruamel.yaml raises inside, with the place in the file `source`."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        yield
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise ConfigurationError(f"{where}: this is no YAML: {error.problem or error.context}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source}: this is no YAML: {error}") from error
