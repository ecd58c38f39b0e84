"""Completion of ``stickyd``'s command line for shells, made of the option tables. Pure."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping

from stickyd.cli.command_tables import COMMANDS
from stickyd.cli.option import Option
from stickyd.cli.parsers import OneOf, OnOff

Tables = Mapping[str, Iterable[Option]]
"""The options of each command."""

_FILES = ("FILE", "PATH", "LOG")
_HELP = (("--help", "print this help and exit"), ("--version", "print the version and exit"))


def bash(tables: Tables) -> str:
    """A function for bash(1), "Programmable Completion"."""
    return "\n".join(_bash(tables)) + "\n"


def zsh(tables: Tables) -> str:
    """A function for zsh's completion system, zshcompsys(1)."""
    return "\n".join(_zsh(tables)) + "\n"


def fish(tables: Tables) -> str:
    """Commands of fish's complete(1)."""
    return "\n".join(_fish(tables)) + "\n"


SHELLS: dict[str, Callable[[Tables], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _names(option: Option) -> list[str]:
    return [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]


def _words(option: Option) -> tuple[str, ...]:
    """The values of an option, if they can be listed."""
    parse = option.argument.parse
    if isinstance(parse, OneOf):
        return parse.words
    return ("on", "off") if isinstance(parse, OnOff) else ()


def _bash(tables: Tables) -> Iterator[str]:
    yield "# stickyd(1), made by 'stickyd completion bash'."
    yield "_stickyd() {"
    yield "  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}"
    yield "  # The shell splits words at '='."
    yield '  if [ "$before" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi'
    yield '  if [ "$current" = = ]; then before=${COMP_WORDS[COMP_CWORD-1]} current=; fi'
    yield "  COMPREPLY=()"
    yield '  if [ "$COMP_CWORD" = 1 ]; then'
    yield f'    COMPREPLY=($(compgen -W "{" ".join(tables)} --help --version" -- "$current"))'
    yield "    return"
    yield "  fi"
    yield '  case "${COMP_WORDS[1]} $before" in'
    for command, options in tables.items():
        for option in options:
            if not option.takes_value or option.argument.implied:
                continue
            cases = "|".join(f"'{command} {name}'" for name in _names(option))
            if words := _words(option):
                reply = f'COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current"))'
            elif option.argument.metavar == "DIR":
                reply = 'COMPREPLY=($(compgen -d -- "$current"))'
            elif option.argument.metavar in _FILES:
                reply = 'COMPREPLY=($(compgen -f -- "$current"))'
            else:
                reply = ":"
            yield f"    {cases}) {reply}; return ;;"
    yield "  esac"
    yield '  case "${COMP_WORDS[1]}" in'
    for command, options in tables.items():
        names = [name for option in options for name in _names(option)] + [n for n, _ in _HELP]
        yield f'    {command}) COMPREPLY=($(compgen -W "{" ".join(names)}" -- "$current")) ;;'
    yield "  esac"
    yield "}"
    yield "complete -o default -F _stickyd stickyd"


def _zsh(tables: Tables) -> Iterator[str]:
    yield "#compdef stickyd"
    yield "# stickyd(1), made by 'stickyd completion zsh'."
    yield "_stickyd() {"
    yield "  if (( CURRENT == 2 )); then"
    yield "    local -a commands=("
    for command in tables:
        yield f"      {shlex.quote(f'{command}:{COMMANDS[command]}')}"
    yield "    )"
    yield "    _describe command commands"
    yield "    return"
    yield "  fi"
    yield "  case $words[2] in"
    for command, options in tables.items():
        yield f"    {command})"
        yield "      _arguments -s \\"
        for option in options:
            for name in _names(option):
                yield f"        {shlex.quote(_zsh_spec(option, name))} \\"
        for name, meaning in _HELP:
            yield f"        {shlex.quote(f'{name}[{meaning}]')} \\"
        yield "        '*:argument:_files' ;;"
    yield "  esac"
    yield "}"
    yield 'if [ "$funcstack[1]" = _stickyd ]; then _stickyd "$@"; else compdef _stickyd stickyd; fi'


def _zsh_spec(option: Option, name: str) -> str:
    meaning = option.help.replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")
    often = "*" if option.argument.repeatable else ""
    if not option.takes_value or option.argument.implied:
        return f"{often}{name}[{meaning}]"
    words = _words(option)
    metavar = option.argument.metavar
    what = f"({' '.join(words)})" if words else "_files -/" if metavar == "DIR" else ""
    what = what or ("_files" if metavar in _FILES else "")
    value = f"{often}{name}{'=' if name.startswith('--') else '+'}[{meaning}]:{metavar}:{what}"
    return value


def _fish(tables: Tables) -> Iterator[str]:
    yield "# stickyd(1), made by 'stickyd completion fish'."
    for command in tables:
        meaning = shlex.quote(COMMANDS[command])
        yield f"complete -c stickyd -n __fish_use_subcommand -f -a {command} -d {meaning}"
    for command, options in tables.items():
        prefix = f"complete -c stickyd -n '__fish_seen_subcommand_from {command}'"
        for option in options:
            line = f"{prefix} -l {option.name}"
            line += f" -s {option.short}" if option.short else ""
            if option.takes_value and not option.argument.implied:
                line += " -r"
                if words := _words(option):
                    line += f" -f -a {shlex.quote(' '.join(words))}"
                elif option.argument.metavar == "DIR":
                    line += " -f -a '(__fish_complete_directories)'"
                elif option.argument.metavar not in _FILES:
                    line += " -f"
            yield f"{line} -d {shlex.quote(option.help)}"
        for name, meaning in _HELP:
            yield f"{prefix} -l {name[2:]} -d {shlex.quote(meaning)}"
