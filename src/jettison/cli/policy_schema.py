"""`jettison policy schema`: the JSON Schema of policy files."""

import click


@click.command()
def command() -> int:
    """Print the JSON Schema of policy files, for editors that complete and check while you write.

    \b
    jettison policy schema > policy.schema.json
    """
    from jettison.cli.output import print_json
    from jettison.policy.schema import policy_schema

    print_json(policy_schema())
    return 0
