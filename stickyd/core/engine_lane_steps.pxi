# The seam between two requests: a part of _engine.pyx.


cdef int lane_serve_bytes(Lane lane, bytes data) except -1:
    return lane_serve(lane, 
        <const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), data
    )


cdef int lane_keep(Lane lane, const uint8_t *data, size_t size, bytes whole) except -1:
    """Remember what is not served yet."""
    if whole is None or <size_t>PyBytes_GET_SIZE(whole) != size:
        whole = PyBytes_FromStringAndSize(<const char *>data, size)
    lane.buffer = whole if size else None
    return 0


cdef int lane_serve(Lane lane, const uint8_t *data, size_t size, bytes whole) except -1:
    """Serve what has arrived whole; then wait for more, move, or end.

    :param data: in front of everything else; `buffer` is empty. Valid until an app is called.
    :param whole: the object that ``data`` is in; None if it is the engine's.
    """
    cdef int step
    lane.advancing = True
    try:
        while True:
            step = lane_step(lane, data, size, whole)
            if step == 0 or lane.channel is not None or lane.at != HEAD:
                break
            if lane.ending:
                lane_end_after_answer(lane)
                break
            whole = lane.buffer
            if whole is None:
                break
            lane.buffer = None
            data = <const uint8_t *>PyBytes_AS_STRING(whole)
            size = PyBytes_GET_SIZE(whole)
    finally:
        lane.advancing = False
    if lane.channel is not None:
        lane.engine.parts.advance(lane.channel)
    elif lane.at != OVER:
        lane_flush(lane)
        lane_after_flush(lane)
    return 0


cdef int lane_python(Lane lane, const uint8_t *data, size_t size, bytes whole) except -1:
    """The Python channel takes this step."""
    lane_keep(lane, data, size, whole)
    lane.give_up()
    return 0


cdef int lane_step(Lane lane, const uint8_t *data, size_t size, bytes whole) except -1:
    """Take one step; whether another may follow at once."""
    cdef Engine engine = lane.engine
    cdef sd_head found
    cdef sd_head *head = &found
    cdef sd_verdict verdict
    cdef sd_placement placement
    cdef sd_address peer
    cdef uint32_t named = 0
    cdef size_t end
    cdef bytes body = None
    if not engine.enabled:
        return lane_python(lane, data, size, whole)
    verdict = sd_read_head(data, size, lane.scanned, &engine.reader._bounds, head)
    if verdict == SD_INCOMPLETE:
        lane.scanned = size
        return lane_keep(lane, data, size, whole)
    end = head.size + <size_t>head.length if verdict == SD_HEAD else 0
    if (
        verdict == SD_UNUSUAL
        or end > size
        or (engine.body_most and head.length > engine.body_most)
        or (head.flags & SD_HAS_UPGRADE and head.flags & SD_SAYS_UPGRADE)
    ):
        return lane_python(lane, data, size, whole)
    engine_use_policy(engine)
    policy = engine.policy
    made = None
    placed = None
    lane.source = 0
    if engine.access is not None or (
        not lane.came_with and (engine.by_python or engine.placer is None)
    ):
        made = engine.reader.make(data, head)
        place = policy.place if lane.came_with else engine.routing.place
        placed = place(made, lane_peer_text(lane))
        named = placed.slot or 0
        lane.source = engine.routing.source_of(placed)
    elif not lane.came_with:
        lane_peer_address(lane, &peer)
        sd_place(&engine.placer.c, head, data, &peer, &placement)
        if placement.where == SD_ASK_POLICY or (
            # The client of an untrusted peer was placed with its connection.
            placement.where == SD_BY_LOAD and sd_is_trusted(&engine.placer.c.trust, &peer)
        ):
            made = engine.reader.make(data, head)
            asked = engine.routing.place(made, lane_peer_text(lane))
            named = asked.slot or 0
            lane.source = engine.routing.source_of(asked)
        else:
            named = placement.slot if placement.where == SD_PLACED else 0
            lane.source = sd_source_number(&placement)
    if lane.came_with:
        lane.source = lane.frame_head.source
    else:
        if named and named != engine.slot:
            if engine.moves or lane.frame_head.table != engine.version:
                return lane_move(lane, named, data, size, whole)
            if not engine.counters.misrouted:
                # The first is told to the master.
                return lane_python(lane, data, size, whole)
            engine.counters.misrouted += 1
        else:
            # Placed among the slots of now: it stays put again.
            lane.frame_head.table = engine.version
        engine.counts.add(engine.counts.placed + lane.source)
    if made is None and (
        engine.web is None or engine.access is not None or engine.identifies
    ):
        made = engine.reader.make(data, head)
    if engine.identifies:
        made = engine.parts.identified(engine.context, made, lane_peer_text(lane))
    if head.length:
        body = PyBytes_FromStringAndSize(<const char *>data + head.size, head.length)
    if end < size:
        lane.buffer = PyBytes_FromStringAndSize(<const char *>data + end, size - end)
    if engine.access is not None:
        lane.logged = engine.parts.logged(
            engine.access,
            lane_as_frame(lane),
            made,
            policy,
            placed,
            engine.slot,
            lane.written(),
            bool(lane.came_with),
        )
    return lane_deliver(lane, made, data, head, body)


cdef int lane_move(
    Lane lane, uint32_t slot, const uint8_t *data, size_t size, bytes whole
) except -1:
    """Give the connection to another slot, with what has not been served yet."""
    cdef Engine engine = lane.engine
    cdef int descriptor
    if lane.parts is not None:
        if whole is None:
            whole = PyBytes_FromStringAndSize(<const char *>data, size)
            data = <const uint8_t *>PyBytes_AS_STRING(whole)
        lane_flush(lane)
        if lane.channel is not None:
            lane.channel.buffer = whole
            return 0
    if not send_frame(engine, lane, slot, data, size):
        return lane_python(lane, data, size, whole)
    # From here on it is the receiver's, who writes into the table.
    engine.counts.add(engine.counts.moved + slot)
    engine.counts.add(engine.counts.placed + lane.source)
    if not lane.guarded:
        engine.stats.moved()
    descriptor = lane.fd
    lane_over(lane)
    engine.drop(lane, True)
    lane.fd = -1
    close(descriptor)
    return 0
