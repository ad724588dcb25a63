"""What OSC messages mean to a board. Stateless: functions of a board and of a message's arguments.

Programs differ in what they send, and all of them are understood: Pure Data knows only floats and sends the words of a
text one by one, buttons send 1 when they are pressed and 0 when they are let go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from magenta_rt_py.live.board import KNOBS, Board, Kind, Knob
from magenta_rt_py.live.knobs import find

__all__ = ["answer", "port_of", "rows", "turn"]


def turn(board: Board, name: str, arguments: tuple[Any, ...], source: str) -> None:
    """Sets a knob or asks for an action.

    Args:
      board: what is steered.
      name: the message's address without its leading slash.
      arguments: of the message.
      source: who sent it.
    Raises:
      ValueError: says what is allowed; nothing has changed.
    """
    knob = find(name)
    if knob.kind is not Kind.ACTION:
        board.set(name, _value(knob, knob.kind, arguments), source=source)
    elif knob.argument is not None:
        board.act(name, _value(knob, knob.argument, arguments) if arguments else None, source=source)
    elif _is_press(knob, arguments):
        board.act(name, source=source)


def answer(board: Board, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """Address and value of the knob that /get asks for.

    Raises:
      ValueError: it asks for none, or for an action.
    """
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise ValueError('give the name of one knob, such as "temperature"')
    knob = find(arguments[0].removeprefix("/"))
    if knob.kind is Kind.ACTION:
        raise ValueError(f"{knob.name} is an action and has no value")
    return f"/{knob.name}", board.settings.values[knob.name]


def rows(board: Board) -> Iterator[tuple[str, str, float, float, str, Any]]:
    """What /list answers for each knob: name, kind, low, high, unit and value; actions have an empty one."""
    values = board.settings.values
    for knob in KNOBS.values():
        kind = f"action with {knob.argument.value}" if knob.argument else knob.kind.value
        yield knob.name, kind, knob.low, knob.high, knob.unit, values.get(knob.name, "")


def port_of(arguments: tuple[Any, ...]) -> int:
    """The UDP port of /subscribe.

    Raises:
      ValueError: there is none.
    """
    value = arguments[0] if len(arguments) == 1 else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)  # Pure Data's numbers are all floats
    if not is_number or value not in range(1, 65_536):
        raise ValueError("give the UDP port where you listen, 1 to 65535")
    return int(value)


def _is_press(knob: Knob, arguments: tuple[Any, ...]) -> bool:
    """Whether an action without a value is meant: buttons send 1 when they are pressed and 0 when they are let go.

    Raises:
      ValueError: it came with something else.
    """
    if len(arguments) > 1 or not all(isinstance(each, float | int | None) for each in arguments):
        raise ValueError(f"{knob.name} takes no value")
    return not arguments or arguments[0] is None or arguments[0] != 0


def _value(knob: Knob, kind: Kind, arguments: tuple[Any, ...]) -> Any:
    """What is to be set; the words of a text may come as arguments of their own."""
    if kind is Kind.TEXT:
        if not all(isinstance(each, str | float | int) and not isinstance(each, bool) for each in arguments):
            raise ValueError(f"{knob.name} takes text (s)")
        return " ".join(each if isinstance(each, str) else f"{each:g}" for each in arguments)
    if len(arguments) != 1:
        raise ValueError(f"{knob.name} came with {len(arguments)} values; it takes one")
    return arguments[0]
