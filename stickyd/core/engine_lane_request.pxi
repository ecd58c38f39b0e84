# A request, and the end of its answer: a part of _engine.pyx.


cdef int lane_deliver(
    Lane lane, made, const uint8_t *data, const sd_head *head, bytes body
) except -1:
    """Give a request to the app.

    :param made: the head as Python has it, None if it does not yet.
    :param data: with the head at its start; not to be read once the app is called.
    """
    cdef Engine engine = lane.engine
    cdef object exchange = None
    lane.scanned = 0
    lane.came_with = False
    lane.head_until = NEVER
    try:
        if engine.web is not None:
            if made is None and engine.web.site.requestFactory is not engine.web.request_factory:
                made = engine.reader.make(data, head)
            exchange = web_exchange(engine.web, lane, made, data, head)
        elif engine.asgi is not None:
            exchange = asgi_exchange(engine.asgi, lane, made, data, head)
        if exchange is None:
            exchange = engine.app.exchange(lane, made)
    except Exception:
        # A file for the body cannot be made, or a request factory of the app's has failed.
        engine.log.failure("a request could not be taken up")
        lane.give_up().refuse(engine.parts.failed_refusal)
        return 0
    if lane.channel is None:
        lane.exchange = exchange
    if engine.load is not None:
        engine.load.began()
    if body is not None:
        try:
            exchange.bodyReceived(body)
        except OSError as error:
            engine.log.error("a request body cannot be stored: {why}", why=error)
            lane.give_up().refuse(engine.parts.not_stored)
            return 0
    if lane.channel is not None:
        engine.parts.deliver(lane.channel, exchange)
        return 0
    lane.at = ANSWER
    lane.deadline_at = NEVER
    if engine.counts.only:
        engine.counts.add(engine.counts.requests + lane.source)
        if engine.times is not None:
            lane.began = sd_seconds()
    else:
        lane.began = engine.accounting.request(lane.source)
    lane.awaited = engine.times is not None
    try:
        exchange.requestReceived()
    except Exception:
        engine.log.failure("the app failed on a request")
        if lane.channel is not None:
            engine.parts.app_failed(lane.channel, exchange)
        elif lane.exchange is exchange:
            lane.give_up().refuse(engine.parts.failed_refusal)
        return 0
    return 1


cdef int lane_end_after_answer(Lane lane) except -1:
    """The last answer is given: it has all the time that any answer has, then we part."""
    cdef Engine engine = lane.engine
    cdef int descriptor
    # Then it is shut down at once.
    lane.ending_now = engine.enabled
    if not lane.advancing:
        # As in `serve`, should the channel take over.
        lane.advancing = True
        try:
            lane_flush(lane)
        finally:
            lane.advancing = False
        if lane.channel is not None:
            lane.engine.parts.advance(lane.channel)
            return 0
    else:
        lane_flush(lane)
        if lane.channel is not None:
            return 0
    lane_watch(lane, EPOLLIN)
    if engine.enabled:
        return lane_part(lane)
    descriptor = lane.fd
    entry = lane_as_entry(lane)
    lane_over(lane)
    engine.lanes[descriptor] = None
    lane.fd = -1
    engine.parts.part(lane.context, descriptor, [], entry)
    engine.drop(lane, True)
    return 0
