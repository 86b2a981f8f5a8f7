"""`jettison policy check`: what is wrong with a policy file."""

from pathlib import Path

import click

from jettison.cli.options import json_option


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="End with 1 where there are warnings.")
@json_option
def command(file: Path, *, strict: bool, as_json: bool) -> int:
    """Read FILE as a policy, and say what is wrong with it: file, line, column, path, and the nearest right key.

    Warnings tell what is legal and surely not meant: a rule that can never match, one that is hidden by an earlier
    one, a policy without effect. With --strict they end it with 1.
    """
    from dataclasses import asdict

    from jettison.cli.options import read_text
    from jettison.cli.output import console, counted, print_json
    from jettison.policy.lint import lint
    from jettison.policy.parse import parse_policy

    text = read_text(file, "the policy")
    policy = parse_policy(text, str(file))
    warnings = lint(policy, text, str(file))
    status = 1 if strict and warnings else 0
    rules = sum(len(each.rules) for each in policy.policies)
    if as_json:
        counts = {"policies": len(policy.policies), "rules": rules}
        print_json({"version": 1, "file": file, **counts, "warnings": [asdict(each) for each in warnings]})
        return status
    out = console()
    for each in warnings:
        out.print(f"{each.where}: warning: {each.path}: {each.text}", markup=False)
    policies = counted(len(policy.policies), "policy", "policies")
    found = counted(len(warnings), "warning") if warnings else "nothing wrong with it"
    out.print(f"{file}: {policies} with {counted(rules, 'rule')}; {found}.", markup=False)
    return status
