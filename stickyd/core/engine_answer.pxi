# The head of an answer, as stickyd.http1.response writes it: a part of _engine.pyx.

cdef enum:
    ANSWER_HEAD_MOST = 4096
    JOINED_MOST = 8192  # as stickyd.worker.apps.web

cdef enum Kind:
    PLAIN_FIELD
    LENGTH_FIELD
    CODING_FIELD
    UNUSUAL_FIELD


cdef struct Answer:
    # The head, as far as it is written.
    uint8_t head[ANSWER_HEAD_MOST]
    size_t size
    # What it says of the content: bytes, -1 for chunks or as many as come.
    int64_t length
    bint coded


cdef bint answer_text(Answer *answer, object text):
    """Append a text that may stand in a head; False if it does not fit, or may not."""
    cdef const uint8_t *start
    cdef size_t size, at
    if type(text) is not bytes:
        return False
    start = <const uint8_t *>PyBytes_AS_STRING(text)
    size = PyBytes_GET_SIZE(text)
    if size > ANSWER_HEAD_MOST - answer.size:
        return False
    for at in range(size):
        if (start[at] < 0x20 and start[at] != 0x09) or start[at] == 0x7F:
            return False
    memcpy(answer.head + answer.size, start, size)
    answer.size += size
    return True


cdef size_t decimal(char *text, uint64_t number):
    """Write a number; its digits, at most 20."""
    cdef char digits[20]
    cdef size_t size = 0, at
    while True:
        digits[size] = 0x30 + number % 10
        size += 1
        number //= 10
        if not number:
            break
    for at in range(size):
        text[at] = digits[size - 1 - at]
    return size


cdef bint answer_raw(Answer *answer, const char *text, size_t size):
    """Append bytes of ours; False if they do not fit."""
    if size > ANSWER_HEAD_MOST - answer.size:
        return False
    memcpy(answer.head + answer.size, text, size)
    answer.size += size
    return True


cdef Kind answer_kind(object name):
    """What a field is to us; UNUSUAL_FIELD also for what is no name."""
    cdef const uint8_t *start
    cdef size_t size, at
    if type(name) is not bytes:
        return UNUSUAL_FIELD
    start = <const uint8_t *>PyBytes_AS_STRING(name)
    size = PyBytes_GET_SIZE(name)
    if size == 0:
        return UNUSUAL_FIELD
    for at in range(size):
        if not sd_bytes[start[at]] & SD_TCHAR:
            return UNUSUAL_FIELD
    if size == 14 and sd_same_name(start, b"content-length", 14):
        return LENGTH_FIELD
    if size == 17 and sd_same_name(start, b"transfer-encoding", 17):
        return CODING_FIELD
    if size == 10 and sd_same_name(start, b"connection", 10):
        return UNUSUAL_FIELD
    return PLAIN_FIELD


cdef bint answer_field(Answer *answer, object name, object value):
    """Take a field; False if Python is to look at it."""
    cdef Kind kind = answer_kind(name)
    cdef const uint8_t *start
    cdef size_t size, at
    if kind == PLAIN_FIELD:
        return (
            answer_text(answer, name)
            and answer_raw(answer, b": ", 2)
            and answer_text(answer, value)
            and answer_raw(answer, b"\r\n", 2)
        )
    if type(value) is not bytes:
        return False
    start = <const uint8_t *>PyBytes_AS_STRING(value)
    size = PyBytes_GET_SIZE(value)
    if kind == LENGTH_FIELD:
        if answer.length >= 0 or not 1 <= size <= 18:
            return False
        answer.length = 0
        for at in range(size):
            if not 0x30 <= start[at] <= 0x39:
                return False
            answer.length = answer.length * 10 + (start[at] - 0x30)
        return True
    if kind == CODING_FIELD:
        if answer.coded or size != 7 or not sd_same_name(start, b"chunked", 7):
            return False
        answer.coded = True
        return True
    return False


cdef bint answer_clear(Answer *answer, int code):
    """Begin; False for those that Python looks at: interim ones, and those without content."""
    answer.size = 0
    answer.length = -1
    answer.coded = False
    return 200 <= code <= 599 and code != 204 and code != 205 and code != 304


cdef bint answer_begin(Answer *answer, int minor, int code, object reason):
    """Write the status line; False for those that Python looks at."""
    cdef char digits[3]
    if not answer_clear(answer, code):
        return False
    digits[0] = 0x30 + code // 100
    digits[1] = 0x30 + code // 10 % 10
    digits[2] = 0x30 + code % 10
    return (
        answer_raw(answer, b"HTTP/1.1 " if minor else b"HTTP/1.0 ", 9)
        and answer_raw(answer, digits, 3)
        and answer_raw(answer, b" ", 1)
        and answer_text(answer, reason)
        and answer_raw(answer, b"\r\n", 2)
    )


cdef bint answer_end(
    Answer *answer, int minor, bint to_head, uint32_t flags, bytes extra, bint *last
):
    """Write what is the daemon's: framing, its own line, persistence.

    :param to_head: the request's method is HEAD.
    :param flags: of the request's head.
    :param extra: a line that is added.
    :param last: whether no request may follow; may become so.
    """
    cdef char digits[20]
    if answer.coded and answer.length >= 0:
        return False
    if answer.length >= 0:
        if not (
            answer_raw(answer, b"Content-Length: ", 16)
            and answer_raw(answer, digits, decimal(digits, answer.length))
            and answer_raw(answer, b"\r\n", 2)
        ):
            return False
    elif not to_head and not (answer.coded and minor):
        # Only the end of the connection can end this one (RFC 9112, 6.3).
        last[0] = True
    if not answer_raw(answer, PyBytes_AS_STRING(extra), PyBytes_GET_SIZE(extra)):
        return False
    if last[0]:
        if not answer_raw(answer, b"Connection: close\r\n", 19):
            return False
    elif flags & SD_SAYS_KEEP_ALIVE:
        if not answer_raw(answer, b"Connection: keep-alive\r\n", 24):
            return False
    if answer.length < 0 and answer.coded and minor and not to_head:
        return answer_raw(answer, b"Transfer-Encoding: chunked\r\n\r\n", 30)
    return answer_raw(answer, b"\r\n", 2)


cdef bytes answer_joined(const void *head, size_t head_size, bytes body):
    """Head and content in one piece, which is cheaper than another part to write."""
    cdef size_t size = PyBytes_GET_SIZE(body)
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, head_size + size)
    cdef char *start = PyBytes_AS_STRING(whole)
    memcpy(start, head, head_size)
    memcpy(start + head_size, PyBytes_AS_STRING(body), size)
    return whole


def answer_head(bytes asked not None, int code, reason, fields, bint last, bytes extra not None):
    """For tests: as `stickyd.http1.response.response_head`; None where that decides.

    :param asked: the head of the request.
    """
    cdef sd_head head
    cdef sd_limits limits
    cdef Answer answer
    cdef int64_t length
    cdef bint to_head, ends = last
    cdef const uint8_t *start = <const uint8_t *>PyBytes_AS_STRING(asked)
    limits.request_line = limits.fields = limits.field_size = limits.head = SD_SIZE_MOST
    if sd_read_head(start, PyBytes_GET_SIZE(asked), 0, &limits, &head) != SD_HEAD:
        raise ValueError("no plain head")
    to_head = head.method_size == 4 and memcmp(start, b"HEAD", 4) == 0
    if not answer_begin(&answer, head.minor, code, reason):
        return None
    for name, values in fields:
        for value in values:
            if not answer_field(&answer, name, value):
                return None
    if not answer_end(&answer, head.minor, to_head, head.flags, extra, &ends):
        return None
    left = None if answer.length < 0 and not to_head else -1 if to_head else answer.length
    return PyBytes_FromStringAndSize(<char *>answer.head, answer.size), left, bool(ends)
