"""Run files of policy cases: find the policies and inventories that they name, beside the file that names them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jettison.errors import ConfigurationError
from jettison.policy.cases import Result, read_cases, run_case
from jettison.policy.parse import parse_policy, parse_policy_node

if TYPE_CHECKING:
    from collections.abc import Callable

    from jettison.oci.inventory import Inventory
    from jettison.policy.cases import Prepared
    from jettison.policy.model import Policy


@dataclass(frozen=True, slots=True)
class FileResult:
    """How the cases of one file came out."""

    file: str
    results: tuple[Result, ...]


def run_file(file: Path, read: "Callable[[Path], str]", load: "Callable[[Path], Inventory]") -> FileResult:
    """Run the cases of one file; `read` reads a text, `load` a recorded inventory.

    Raises ConfigurationError for a file, policy or inventory that cannot be used, and where a policy is refused.
    """
    known: dict[Path, Policy] = {}
    inventories: dict[Path, Inventory] = {}

    def policy_of(prepared: "Prepared") -> "Policy":
        place = prepared.policy
        if place.file is None:
            return parse_policy_node(place.node, str(file))
        path = file.parent / place.file
        if path not in known:
            known[path] = parse_policy(read(path), str(path))
        return known[path]

    def inventory_of(prepared: "Prepared") -> "Inventory | None":
        if prepared.case.inventory is None:
            return None
        path = file.parent / prepared.case.inventory
        if path not in inventories:
            inventories[path] = load(path)
        return inventories[path]

    cases = read_cases(read(file), str(file))
    results = tuple(run_case(each, policy_of(each), inventory_of(each)) for each in cases)
    if not any(result.checked for result in results):
        raise ConfigurationError(f"{file}: no case says anything of any image, so nothing was tested")
    return FileResult(str(file), results)
