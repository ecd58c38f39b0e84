# The end of a connection whose last answer is sent, as
# stickyd.worker.connection.lingering: a part of _engine.pyx.


cdef int lane_part(Lane lane) except -1:
    """Say that nothing follows, and read on until the client closes, too (RFC 9112, 9.6)."""
    cdef Engine engine = lane.engine
    cdef double now
    lane_over(lane)
    lane.parting = True
    lane.exchange = lane.logged = None
    # It is no connection of the worker's any more, but has a deadline.
    engine.channels.discard(lane)
    if lane.guarded:
        lane_occupy(lane)
    if shutdown(lane.fd, SHUT_WR):
        return lane_part_close(lane)
    now = engine.seconds()
    lane.part_until = now + LINGER_MOST
    lane.deadline_at = now + LINGER_SILENCE
    return 0


cdef int lane_part_read(Lane lane) except -1:
    """Drop what the client still sends."""
    cdef Engine engine = lane.engine
    cdef ssize_t size
    for _ in range(LINGER_READS):
        size = sd_receive(lane.fd, engine.scratch, READ_MOST)
        if size < 0 and errno == EAGAIN:
            break
        if size <= 0:
            return lane_part_close(lane)
    lane.deadline_at = min(lane.part_until, <double>engine.seconds() + LINGER_SILENCE)
    return 0


cdef int lane_part_expired(Lane lane) except -1:
    """Close, unless the client is still taking the answer: Python watches its pace."""
    cdef Engine engine = lane.engine
    cdef int descriptor = lane.fd
    if sd_queued(descriptor) == 0:
        return lane_part_close(lane)
    entry = lane_as_entry(lane)
    lane.parting = False
    lane.deadline_at = NEVER
    engine.lanes[descriptor] = None
    lane.fd = -1
    engine.timed.discard(lane)
    engine.parts.part(lane.context, descriptor, [], entry).expired()
    return 0


cdef int lane_part_close(Lane lane) except -1:
    """Both directions are closed, or the client has had its time."""
    cdef int descriptor = lane.fd
    lane.parting = False
    lane.deadline_at = NEVER
    lane.engine.timed.discard(lane)
    lane.engine.lanes[descriptor] = None
    lane_watch(lane, 0)
    lane.fd = -1
    close(descriptor)
    lane_ended(lane)
    return 0
