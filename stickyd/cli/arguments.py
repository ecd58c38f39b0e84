"""Options and positional arguments in any order, for getopt(3), which wants options first. Pure."""

from collections.abc import Collection, Sequence


def options_first(
    arguments: Sequence[str], with_value: Collection[str], dash: str = "-"
) -> list[str]:
    """Sort options before positional arguments, with ``--`` between; ``--`` ends the options.

    :param with_value: options that take the next argument as their value.
    :param dash: what an argument ``-`` stands for.
    """
    options: list[str] = []
    positional: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            positional += rest
            break
        if argument == "-":
            argument = dash
            (options if dash.startswith("--") else positional).append(argument)
        elif argument in with_value and rest:
            options += [argument, rest.pop(0)]
        elif argument.startswith("-"):
            options.append(argument)
        else:
            positional.append(argument)
    return [*options, "--", *positional]
