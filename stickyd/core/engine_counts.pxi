# The counters that nearly every request changes: a part of _engine.pyx.


@cython.final
cdef class Counts:
    """Adds to cells of `stickyd.stats.WorkerCounters` without a call of Python.

    :param accounting: the worker's, whose cells of 64 bits the master reads.
    :param at: the places in them; see `stickyd.worker.lanes.Parts.cells_at`.
    """

    cdef object cells
    cdef Py_buffer view
    cdef uint64_t *held  # NULL once the worker ends: the memory may be released then
    cdef Py_ssize_t size
    cdef bint only  # a request is counted, and nothing else
    cdef Py_ssize_t adopted, arrived, requests, placed, moved

    def __cinit__(self, accounting, at):
        self.held = NULL
        self.size = 0

    def __init__(self, accounting, at):
        self.cells = accounting.cells
        self.only = accounting.only_counts
        self.adopted, self.arrived, self.requests, self.placed, self.moved = at
        PyObject_GetBuffer(self.cells, &self.view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self.held = <uint64_t *>self.view.buf
        self.size = self.view.len // <Py_ssize_t>sizeof(uint64_t)

    def __dealloc__(self):
        self.close()

    cdef void close(self):
        if self.held != NULL:
            self.held = NULL
            self.size = 0
            PyBuffer_Release(&self.view)

    cdef inline int add(self, Py_ssize_t at) except -1:
        """Add one; IndexError if there is no such cell."""
        if 0 <= at < self.size:
            # One store: the master never sees half of a number.
            sd_store(&self.held[at], self.held[at] + 1)
        else:
            self.cells[at] += 1
        return 0
