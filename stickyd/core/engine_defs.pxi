# Numbers of the engine, and what it uses of Python's C interface: a part of _engine.pyx.

cdef extern from "Python.h":
    ctypedef struct TupleType "PyTypeObject":
        object (*tp_alloc)(TupleType *, Py_ssize_t)
    ctypedef struct HeapType "PyTypeObject":
        object (*tp_new)(HeapType *, object, void *)
    void *PyMethod_GET_FUNCTION(object)
    unsigned long PyThread_get_thread_ident()

cdef enum:
    READ_MOST = 65536
    READ_AHEAD = 32768  # as stickyd.worker.connection.body
    MESSAGE_MOST = 204800  # as stickyd.ipc.fd_queue
    SMALL = 16384  # as stickyd.net.writev
    PARTS_MOST = 64
    SEND_MOST = 2097152
    BATCH_MOST = 256
    ROUNDS = 8
    LINGER_READS = 16  # as stickyd.worker.connection.lingering
    INBOX_BATCH = 32
    BOUNDS_MOST = 16
    TAKEN_BITS = 24
    TLS_LISTENER = 0x80  # as stickyd.ipc.over_tls
    STATE_FLYING = 1
    STATE_IDLE = 2
    STATE_BUSY = 3

cdef uint64_t TAKEN_MASK = (<uint64_t>1 << 40) - 1

cdef enum State:
    HEAD
    ANSWER
    OVER

cdef double NEVER = -1.0

# As stickyd.net.lingering_close.
cdef double LINGER_SILENCE = 2.0, LINGER_MOST = 10.0
