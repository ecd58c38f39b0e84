# Histograms of times, in the memory that the worker shares with the master: a part of _engine.pyx.


cdef class CompiledHistogram:
    """Counts durations in the cells of a `stickyd.stats.Histogram`."""

    cdef Py_buffer view
    cdef uint64_t *cells
    cdef double bounds[BOUNDS_MOST]
    cdef size_t count

    def __init__(self, histogram):
        cdef size_t at
        self.count = len(histogram.bounds)
        if self.count > BOUNDS_MOST:
            raise ValueError("a histogram of too many bounds")
        for at in range(self.count):
            self.bounds[at] = histogram.bounds[at]
        PyObject_GetBuffer(histogram.cells, &self.view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self.cells = <uint64_t *>self.view.buf
        if self.view.len != <Py_ssize_t>(8 * (self.count + 2)):
            raise ValueError("a histogram of another layout")

    cdef void observe(self, double seconds):
        sd_observe(self.cells, self.bounds, self.count, seconds)

    def __dealloc__(self):
        if self.cells != NULL:
            PyBuffer_Release(&self.view)


cdef class Times:
    """What `stickyd.worker.accounting.Accounting` measures; the memory is held while this exists."""

    cdef CompiledHistogram queued, first_bytes, durations

    def __init__(self, counters):
        self.queued = CompiledHistogram(counters.queued)
        self.first_bytes = CompiledHistogram(counters.first_bytes)
        self.durations = CompiledHistogram(counters.durations)


cdef void lane_came_out(Lane lane):
    """The connection has been taken out of an inbox."""
    cdef sd_frame_head *frame = &lane.frame_head
    if lane.engine.times is not None and frame.put_at:
        lane.engine.times.queued.observe(<uint32_t>(sd_queue_clock() - frame.put_at) / 1e6)


cdef void lane_answer_begins(Lane lane):
    """The first byte of an answer is written."""
    lane.awaited = False
    if lane.engine.times is not None:
        lane.engine.times.first_bytes.observe(sd_seconds() - lane.began)


cdef void lane_answer_ends(Lane lane):
    """The answer is written whole."""
    if lane.engine.times is not None:
        lane.engine.times.durations.observe(sd_seconds() - lane.began)
    lane.began = 0
    lane.awaited = False
