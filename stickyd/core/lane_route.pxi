# A part of _lane.pyx.


cdef class Route:
    """Where connections are placed under one slot table.

    :param placer: of that table.
    :param version: of the table.
    :param slots: 1 to 65535, in the order of the table.
    :param inboxes: the sending end of each slot's inbox, in the same order.
    :param outboxes: who puts into each of them from Python: has ``waiting()``.
    :param reasons: the name of each source of the chain, for the counters.
    """

    cdef Placer _placer
    cdef uint32_t _version
    cdef uint16_t *_slots
    cdef int *_inboxes  # by the number of the slot; -1 for none
    cdef Py_ssize_t _count
    cdef uint32_t _high
    cdef list _outboxes  # by the number of the slot
    cdef list _reasons

    def __cinit__(
        self,
        Placer placer not None,
        uint32_t version,
        list slots not None,
        list inboxes not None,
        list outboxes not None,
        list reasons not None,
    ):
        cdef Py_ssize_t at
        if not slots or min(slots) < 1 or max(slots) > 0xFFFF:
            raise ValueError("slots are 1 to 65535")
        if not len(slots) == len(inboxes) == len(outboxes):
            raise ValueError("each slot has one inbox and one outbox")
        if len(reasons) != <Py_ssize_t>placer.c.sources:
            raise ValueError("each source has one reason")
        self._placer = placer
        self._version = version
        self._reasons = reasons
        self._count = len(slots)
        self._high = max(slots)
        self._slots = <uint16_t *>PyMem_Calloc(self._count, sizeof(uint16_t))
        self._inboxes = <int *>PyMem_Malloc((self._high + 1) * sizeof(int))
        if self._slots == NULL or self._inboxes == NULL:
            raise MemoryError
        memset(self._inboxes, 0xFF, (self._high + 1) * sizeof(int))
        self._outboxes = [None] * (self._high + 1)
        for at in range(self._count):
            self._slots[at] = slots[at]
            self._inboxes[self._slots[at]] = inboxes[at]
            self._outboxes[self._slots[at]] = outboxes[at]

    def __dealloc__(self):
        PyMem_Free(self._slots)
        PyMem_Free(self._inboxes)
