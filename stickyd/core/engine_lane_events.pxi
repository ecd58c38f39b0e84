# What the poller tells a lane: a part of _engine.pyx.


cdef int lane_watch(Lane lane, uint32_t interest) except -1:
    cdef int error
    if interest == lane.interest:
        return 0
    error = sd_watch(lane.engine.epfd, lane.fd, lane.interest, interest)
    if error:
        failed = OSError(error, "epoll_ctl")
        lane.engine.parts.not_in_epoll(failed)
        raise failed
    lane.interest = interest
    return 0


cdef int lane_ready(Lane lane, uint32_t events) except -1:
    if lane.parting:
        return lane_part_read(lane)
    if events & EPOLLIN:
        lane_read(lane)
    elif not events & EPOLLOUT:
        lane.give_up()
        lane.channel.transport.end(lane.engine.lost_error)
    if events & EPOLLOUT and lane.at != OVER and lane.channel is None:
        if lane.interest & EPOLLOUT:
            lane_flush(lane)
            lane_after_flush(lane)
    return 0


cdef int lane_after_flush(Lane lane) except -1:
    """Nothing else happens: wait for what comes next."""
    if lane.channel is not None:
        lane.engine.parts.wait(lane.channel)
    elif lane.at != OVER:
        lane_arm(lane)
    return 0


cdef int lane_begin(Lane lane, const uint8_t *data, size_t size) except -1:
    """Take up where the sender left off."""
    lane_came_out(lane)
    if lane.frame_head.head_left:
        lane.head_until = <double>lane.engine.seconds() + lane.frame_head.head_left / 1000.0
    if size:
        lane_serve(lane, data, size, None)
    else:
        lane_read(lane)
    if lane.channel is not None:
        lane.channel.begun()
    elif lane.at != OVER:
        if lane.at == HEAD and lane.deadline_at < 0:
            lane_arm(lane)
        lane_watch(lane, lane.interest | EPOLLIN)
    return 0


cdef int lane_read(Lane lane) except -1:
    cdef Engine engine = lane.engine
    cdef ssize_t size
    cdef int error
    if lane.guarded:
        lane_occupy(lane)
    engine.instant()
    size = sd_receive(lane.fd, engine.scratch, READ_MOST)
    error = errno
    engine.instant()
    if size < 0:
        if error == EAGAIN:
            if lane.settled:
                lane_settle(lane)
            return 0
        engine.parts.failed(OSError(error, "recv"))
        lane.give_up()
        lane.channel.transport.end(engine.lost_error)
        return 0
    if size == 0:
        if lane.settled:
            lane_settle(lane)
        return lane_client_done(lane)
    lane.taken += size
    lane.settled = False
    if lane.at == HEAD and not lane.advancing:
        if lane.buffer is None:
            return lane_serve(lane, engine.scratch, size, None)
        data = lane.buffer + PyBytes_FromStringAndSize(<char *>engine.scratch, size)
        lane.buffer = None
        return lane_serve_bytes(lane, data)
    data = PyBytes_FromStringAndSize(<char *>engine.scratch, size)
    if lane.buffer is not None:
        data = lane.buffer + data
    lane.buffer = data
    if PyBytes_GET_SIZE(data) >= READ_AHEAD:
        lane.give_up()
        lane.channel.transport.stopReading()
    return 0


cdef int lane_client_done(Lane lane) except -1:
    """The client has finished sending."""
    if (
        lane.at == HEAD and lane.buffer is None and lane.parts is None
        and not lane.advancing and not lane.ending and sd_queued(lane.fd) == 0
    ):
        return lane_close_now(lane)
    lane.give_up()
    lane.channel.transport.stopReading()
    lane.channel.clientDone()
    return 0


cdef int lane_close_now(Lane lane) except -1:
    """End: nothing is on its way in either direction."""
    cdef int descriptor = lane.fd
    lane_watch(lane, 0)
    lane_over(lane)
    if lane.guarded:
        # The master's copy would keep it open.
        shutdown(descriptor, SHUT_RDWR)
    close(descriptor)
    lane_ended(lane)
    lane.engine.drop(lane, True)
    lane.fd = -1
    return 0


cdef void lane_over(Lane lane):
    lane.at = OVER
    lane.deadline_at = NEVER
    lane.buffer = None


cdef int lane_arm(Lane lane) except -1:
    """Set the deadline that belongs to what the connection is waiting for."""
    cdef Engine engine = lane.engine
    cdef double now
    if lane.at == ANSWER:
        lane.deadline_at = NEVER
        if lane.guarded and lane.buffer is None and lane.exchange.whole:
            # The app goes on behind its answer.
            lane_settle(lane)
        return 0
    now = engine.seconds()
    if lane.buffer is None and not lane.came_with:
        # Idle: nothing would be lost with us.
        if lane.guarded:
            lane_settle(lane)
        lane.deadline_at = now + engine.keep_alive
        return 0
    # The time for a head is absolute: more bytes do not extend it.
    if lane.head_until < 0:
        lane.head_until = now + engine.head_timeout
    lane.deadline_at = lane.head_until
    return 0
