"""Prepares a registry for collecting beside it: deletion on, and no descriptor cache, in one edit of its configuration.

Without the cache the server looks into its storage each time. Then nothing has to be made forgotten, and manifests that
nothing refers to can go without a restart. It costs a look at the storage per request.
"""

from typing import Final

from jettison.control.config_edit import difference, with_descriptor_cache_off
from jettison.control.config_file import RegistryConfiguration, parse_config
from jettison.control.enable_delete import ConfigEdit, plan_enable_delete
from jettison.control.running import RunningRegistry

CACHE_VARIABLE: Final = "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR"


def is_prepared(configuration: RegistryConfiguration) -> bool:
    """Whether deletion is on and there is no descriptor cache."""
    return configuration.delete_enabled and configuration.cache is None


def plan_preparation(running: RunningRegistry) -> ConfigEdit:
    """Decide what to change; nothing is written. `already_enabled` says that all is as it should be.

    Where the environment decides one of both, nothing is changed, and the advice says what to do instead. Raises
    ControlError and ConfigurationError.
    """
    deletion = plan_enable_delete(running)
    environment = running.environment()
    before = parse_config(deletion.old, environment, name=deletion.path)
    new = with_descriptor_cache_off(deletion.new, name=deletion.path)
    after = parse_config(new, environment, name=deletion.path)
    advice = [deletion.advice] if deletion.advice else []
    if after.cache is not None:
        advice.append(
            f"{after.origins['cache'].name} in the server's environment turns the descriptor cache on and wins over "
            f"{deletion.path}; take it out of the environment"
        )
    elif before.cache is not None and not deletion.survives:
        lasting = running.permanence(CACHE_VARIABLE, "")
        advice += [f"  {line}" for line in (lasting.run_line, *lasting.compose_lines) if line]
    if not is_prepared(after):
        new = deletion.old
    return ConfigEdit(
        path=deletion.path,
        old=deletion.old,
        new=new,
        difference=difference(deletion.old, new, name=deletion.path) if new != deletion.old else "",
        already_enabled=is_prepared(before),
        survives=deletion.survives and is_prepared(after),
        advice="\n".join(advice),
    )
