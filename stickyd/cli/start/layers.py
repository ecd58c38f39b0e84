"""Options given by the environment or by a configuration file. Pure.

The command line has precedence over the environment, the environment over the file.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping

import attrs

from stickyd.cli.option import Option
from stickyd.cli.parsers import OnOff

_APP = frozenset({"class", "wsgi", "asgi", "path"})
_ADDRESSES = frozenset({"listen", "bind"})
_HOST_AND_PORT = frozenset({"host", "port"})

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})

# Kubernetes sets STICKYD_PORT=tcp://ADDRESS:PORT in every container if a Service is called stickyd.
_OF_KUBERNETES = re.compile(r"(?:tcp|udp|sctp)://\S+")


@attrs.frozen
class Given:
    """The value of an option that is not on the command line.

    :ivar label: where it is from, for error lines.
    :ivar texts: as on the command line; one, or any number of a repeatable option. A flag that is
        set, or an option without its value, has an empty text; a flag that is not set has none.
    """

    label: str
    texts: tuple[str, ...]


Layer = Mapping[str, Given]
"""What one place gives, by name of the option."""


def of_environment(options: Iterable[Option], environment: Mapping[str, str]) -> Layer:
    """The options that variables give: ``STICKYD_`` and the name, else the option's other one.

    Values of a repeatable option are separated by white space.

    :raise ValueError: with one line that names the variable.
    """
    layer = {}
    for option in options:
        for variable in variables_of(option):
            text = environment.get(variable, "")
            if text and not _OF_KUBERNETES.fullmatch(text):
                layer[option.name] = Given(f"${variable}", _texts(option, f"${variable}", text))
                break
    return layer


def variables_of(option: Option) -> tuple[str, ...]:
    """The environment variables of an option, the one with precedence first."""
    own = f"STICKYD_{option.name.upper().replace('-', '_')}"
    other = option.default.environment
    return (own, other) if other and other != own else (own,)


def of_file(options: Iterable[Option], content: bytes, name: str) -> Layer:
    """The options in a TOML file, keys named as the options (``keep-alive`` or ``keep_alive``).

    :param name: of the file, for error lines.
    :raise ValueError: with one line that names the file, and the key.
    """
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: {error}") from None
    known = {option.name: option for option in options}
    layer = {}
    for key, value in table.items():
        option = known.get(key.replace("_", "-"))
        if option is None:
            near = difflib.get_close_matches(key, known, 1)
            raise ValueError(
                f"{name}: no option {key!a}" + (f"; did you mean {near[0]}?" if near else "")
            )
        label = f"{name}: {key}"
        layer[option.name] = Given(label, _of_toml(option, label, value))
    return layer


def beside(given: Collection[str], layers: Iterable[Layer]) -> dict[str, Given]:
    """What layers give that neither the command line nor a layer before replaces.

    One app replaces another of any kind, and one set of addresses another.

    :param given: the options on the command line.
    :param layers: the one with precedence first.
    """
    result: dict[str, Given] = {}
    above = set(given)
    for layer in layers:
        for name, value in layer.items():
            if name not in above and not any(above & group for group in _replaced_with(name)):
                result[name] = value
        above.update(layer)
    return result


def _replaced_with(name: str) -> Iterable[frozenset[str]]:
    if name in _APP:
        yield _APP
    elif name in _ADDRESSES:
        yield _ADDRESSES | _HOST_AND_PORT
    elif name in _HOST_AND_PORT:
        yield _ADDRESSES


def _texts(option: Option, label: str, text: str) -> tuple[str, ...]:
    if option.argument.repeatable:
        return tuple(text.split())
    if option.takes_value and not (option.argument.implied and text.lower() in _ON | _OFF):
        return (text,)
    if text.lower() not in _ON | _OFF:
        raise ValueError(f"{label}: {text!a} is neither on nor off")
    return ("",) if text.lower() in _ON else ()


def _of_toml(option: Option, label: str, value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        texts = [_scalar(label, each) for each in value]
        return tuple(texts) if option.argument.repeatable else (",".join(texts),)
    text = _scalar(label, value)
    if option.argument.repeatable:
        return (text,)
    if isinstance(value, bool) and option.takes_value and not option.argument.implied:
        if not isinstance(option.argument.parse, OnOff):
            raise ValueError(f"{label}: a value, not {text}")
        return ("on" if value else "off",)
    return _texts(option, label, text)


# The exact types: bool is an int.
_SCALARS: dict[type, Callable[[object], str]] = {
    str: str,
    int: str,
    float: str,
    bool: lambda value: "true" if value else "false",
}


def _scalar(label: str, value: object) -> str:
    make = _SCALARS.get(type(value))
    if make is None:
        raise ValueError(f"{label}: {type(value).__name__} is no value of an option")
    return make(value)
