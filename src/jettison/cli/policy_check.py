"""`jettison policy check`: what is wrong with a policy file."""

from pathlib import Path

import click

from jettison.cli.options import json_option


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@json_option
def command(file: Path, *, as_json: bool) -> int:
    """Read FILE as a policy, and say what is wrong with it: file, line, column, path, and the nearest right key."""
    from jettison.cli.options import read_text
    from jettison.cli.output import console, counted, print_json
    from jettison.policy.parse import parse_policy

    policy = parse_policy(read_text(file, "the policy"), str(file))
    rules = sum(len(each.rules) for each in policy.policies)
    if as_json:
        print_json({"version": 1, "file": file, "policies": len(policy.policies), "rules": rules})
        return 0
    policies = counted(len(policy.policies), "policy", "policies")
    console().print(f"{file}: {policies} with {counted(rules, 'rule')}; nothing wrong with it.", markup=False)
    return 0
