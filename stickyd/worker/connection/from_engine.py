"""How a channel continues with a connection of the compiled engine (`stickyd.worker.lanes`)."""

from functools import partial

from stickyd.worker.connection import steps
from stickyd.worker.connection.channel import FAILED, Channel
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.given import Given
from stickyd.worker.connection.next_step import State
from stickyd.worker.interfaces import App, Exchange


def taken_over(context: WorkerContext, app: App, given: Given) -> Channel:
    """A channel that continues with a connection, at whatever point it is."""
    channel = Channel(context, app, given.frame, given.descriptor)
    transport = channel.transport
    transport.take_over(given.interest, given.parts, given.size, given.sent)
    transport.entry = given.entry
    channel.state = given.state
    channel.deadline = given.deadline
    channel.ending = given.ending
    channel.buffer = given.unread
    channel.scanned = given.scanned
    channel.exchange = given.exchange
    channel.logged = given.logged
    channel.came_with = given.came_with
    channel.source = given.source
    channel.began = given.began
    if given.awaited:
        begins = context.accounting.begins_to_answer
        transport.on_first_byte = partial(begins, given.began)
    channel.timer.head_until = given.head_until
    channel.advancing = transport.corked = given.advancing
    context.connections.add(channel)
    return channel


def advance(channel: Channel) -> None:
    """The engine's step is over, in which it gave the connection up: take the next."""
    channel.advancing = channel.transport.corked = False
    steps.advance(channel)


def deliver(channel: Channel, exchange: Exchange) -> None:
    """A request that the engine has read is complete."""
    channel.exchange = exchange
    channel.deliver(exchange)


def failed(channel: Channel, exchange: Exchange) -> None:
    """The app has failed on a request that the engine gave it."""
    if channel.exchange is exchange:
        channel.refuse(FAILED)


def wait(channel: Channel) -> None:
    """Set the deadline that belongs to what the connection waits for."""
    if channel.state is not State.OVER:
        channel.timer.restart(channel)
