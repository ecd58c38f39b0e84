# Placing, and ids of requests and of their answers (`stickyd.worker.answer_ids`): a part of
# _engine.pyx.


@cython.final
cdef class ChainIds:
    """What the chain of a worker's policy sets and learns.

    :param ids: `stickyd.worker.answer_ids.AnswerIds` of the worker.
    :param make: makes the `RequestIds` of a request.
    :param inserts: the place of ``insert`` in the chain; -1 if it has none.
    :param name: of that cookie.
    :param learns: whether ids of the app are learned.
    """

    cdef object ids, make
    cdef Py_ssize_t inserts
    cdef bytes name
    cdef bint learns

    def __init__(self, ids, make, Py_ssize_t inserts, bytes name not None, bint learns):
        self.ids = ids
        self.make = make
        self.inserts = inserts
        self.name = name
        self.learns = learns


cdef object ids_begin(Lane lane, object made, const uint8_t *data, const sd_head *head):
    """The ids of a request that has to get the daemon's cookie; None for any other.

    :param made: the head as Python has it, None if it does not yet.
    """
    cdef Engine engine = lane.engine
    cdef ChainIds chain = engine.chain_ids
    if chain.inserts < 0:
        return None
    engine_use_policy(engine)
    if sd_slot_of_cookies(&engine.placer.c, &engine.placer.c.chain[chain.inserts], head, data):
        return None
    if made is None:
        made = engine.reader.make(data, head)
    return chain.make(chain.ids, engine.routing, made, lane)


cdef object ids_made(Lane lane, object head):
    """The ids of a request that has the daemon's cookie, if there is one.

    :param head: as it came.
    """
    cdef ChainIds chain = lane.engine.chain_ids
    return chain.make(chain.ids, lane.engine.routing, head, lane, True)


cdef bint ids_due(Lane lane, object made, const uint8_t *fields, size_t size) except -1:
    """Whether an answer hands out an id, or may have to: then `RequestIds.lines` is to be asked.

    :param made: what `ids_begin` has returned.
    :param fields: lines of the answer's head.
    """
    cdef Engine engine = lane.engine
    cdef ChainIds chain = engine.chain_ids
    if made is not None:
        return True
    if not chain.learns:
        return False
    engine_use_policy(engine)
    return sd_hands_out_news(&engine.placer.c, <uint16_t>engine.slot, fields, size)


cdef list ids_without_cookie(ChainIds chain, list fields):
    """The fields of a head without the daemon's cookie; the list itself may change."""
    cdef bytes left
    cdef Py_ssize_t at
    if chain.inserts < 0:
        return fields
    for at in range(len(fields)):
        if fields[at][0] != b"cookie":
            continue
        # A plain head has one line of it.
        left = without_cookie(fields[at][1], chain.name)
        if left:
            fields[at] = b"cookie", left
        elif left is not None:
            del fields[at]
        break
    return fields


cdef int engine_use_policy(Engine engine) except -1:
    """Place by the policy of now."""
    policy = engine.routing.policy
    if policy is not engine.policy:
        engine.policy = policy
        engine.placer = engine.parts.placer(policy)
        engine.version = policy.table.version
    return 0
