# The words of the connection table: a part of _engine.pyx.


cdef int lane_sign(Lane lane, bint carries) except -1:
    """The connection is ours: note it in the table or, if it is not guarded, in the stats."""
    cdef Engine engine = lane.engine
    cdef sd_frame_head *frame = &lane.frame_head
    lane.settled = not carries
    if engine.words == NULL or not frame.entry:
        engine.stats.came()
        return 0
    lane.guarded = True
    # Otherwise one that nobody reads: the master's program may have been replaced.
    if frame.entry < engine.entries and engine.ids[frame.entry] == frame.connection:
        lane.entry = frame.entry
    lane.taken = sd_load(&engine.words[lane.entry]) >> TAKEN_BITS
    # In one store: at no instant is it ours and its state not known.
    if carries:
        lane_occupy(lane)
    else:
        lane_settle(lane)
    return 0


cdef int lane_note(Lane lane, uint64_t word) except -1:
    if lane.guarded and lane.engine.words != NULL:
        lane.engine.instant()
        sd_store(&lane.engine.words[lane.entry], word | lane.engine.owner)
        lane.engine.instant()
    return 0


cdef int lane_settle(Lane lane) except -1:
    """What was read is answered, and all answers are in the kernel."""
    lane.settled = True
    return lane_note(lane, (lane.taken & TAKEN_MASK) << TAKEN_BITS | STATE_IDLE)


cdef int lane_occupy(Lane lane) except -1:
    """It idles no longer."""
    return lane_note(lane, STATE_BUSY)


cdef int lane_departs(Lane lane) except -1:
    """It is about to be put into an inbox: from then on the receiver writes."""
    return lane_note(lane, (lane.taken & TAKEN_MASK) << TAKEN_BITS | STATE_FLYING)


cdef int lane_stays(Lane lane) except -1:
    """It has not been put into an inbox."""
    return lane_settle(lane) if lane.settled else lane_occupy(lane)


cdef int lane_ended(Lane lane) except -1:
    """The connection is closed; nothing is noted after this."""
    if not lane.guarded:
        lane.engine.stats.ended()
    elif lane.engine.ended != NULL:
        lane.engine.instant()
        lane.engine.ended[lane.entry] = 1
        lane.engine.instant()
    return 0
