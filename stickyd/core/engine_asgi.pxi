# Requests to ASGI apps on lanes: a part of _engine.pyx.


cdef class AsgiSite:
    """What the requests to one ASGI app share.

    :param parts: what they are made of; see `stickyd.worker.apps.compiled.asgi.AsgiParts`.
    """

    cdef object parts, runtime, exchange_type, loop, context, app, tasks, asgi_version
    cdef dict state, status_lines
    cdef str root_path
    cdef bytes raw_root_path, extra, date_line
    cdef list started
    cdef time_t second
    cdef bint usable

    def __init__(self, parts):
        self.parts = parts
        self.runtime = parts.runtime
        self.exchange_type = parts.exchange_type
        self.status_lines = parts.status_lines
        self.extra = parts.header_line
        self.started = []

    cdef int begin(self) except -1:
        """For the first request: the app has been started."""
        self.loop, self.context, self.state = self.parts.begun()
        self.app, self.root_path, self.asgi_version, self.tasks, self.usable = self.parts.told()
        self.raw_root_path = self.root_path.encode("ascii")
        return 0

    cdef int take_date(self) except -1:
        cdef time_t now = time(NULL)
        if now != self.second:
            self.date_line = self.parts.default_lines()
            self.second = now
        return 0

    def flush(self):
        """At the end of a turn of the loop: heads whose answers are not whole go out."""
        cdef AsgiExchange each
        started, self.started = self.started, []
        for each in started:
            if each.start is not None and not each.python and not each.done:
                try:
                    each.go_python()
                    each.flush()
                except Exception:
                    # An error of one connection must not affect the others.
                    self.parts.log.failure("a connection failed")
                    each.abort()


cdef class AsgiExchange:
    """What uvicorn's cycle and `stickyd.worker.apps.asgi_exchange.AsgiExchange` do for most requests.

    A base of one of that class, which goes on from any point with a cycle of uvicorn's
    (`go_python`). Made by the engine only, for a lane.
    """

    cdef AsgiSite site_of
    cdef Lane lane
    cdef readonly dict scope
    cdef readonly object client, cycle
    cdef object asked_head, ids, start
    cdef bytes head
    cdef size_t fields_at
    cdef int64_t length
    cdef int code
    cdef bint due
    cdef readonly bint secure
    cdef bint received, done, gone, python
    cdef public int status
    cdef public bint begun

    @property
    def _runtime(self):
        return self.site_of.runtime

    @property
    def _channel(self):
        return self.lane

    @property
    def _ids(self):
        if self.ids is None and self.lane.engine.chain_ids is not None:
            self.ids = ids_made(self.lane, self.asked_head)
        return self.ids

    @property
    def _head(self):
        cdef ChainIds chain = self.lane.engine.chain_ids
        return self.asked_head if chain is None or chain.inserts < 0 else self._ids.head

    def go_python(self):
        """A cycle of uvicorn's goes on from here."""
        if not self.python:
            self.python = True
            self.site_of.parts.go_on(self, self.start, bool(self.received))

    def take_cycle(self, cycle):
        """For `go_python`: what goes on."""
        self.cycle = cycle

    def requestReceived(self):
        """The request is complete: start the app."""
        cdef AsgiSite site = self.site_of
        site.tasks.add(site.loop.create_task(asgi_run(self)))

    async def receive(self):
        """For the app."""
        if self.cycle is not None:
            return await self.cycle.receive()
        if self.done or self.gone:
            return {"type": "http.disconnect"}
        if not self.received:
            self.received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        self.go_python()
        return await self.cycle.receive()

    async def send(self, message):
        """For the app."""
        if self.cycle is None:
            if self.gone:
                return
            if self.done:
                raise RuntimeError(
                    f"Unexpected ASGI message '{message['type']}' sent,"
                    " after response already completed."
                )
            if asgi_body(self, message) if self.start is not None else asgi_start(self, message):
                return
            self.go_python()
        await self.cycle.send(message)


async def asgi_run(AsgiExchange exchange):
    """Run the app; what is unusual about its end is uvicorn's."""
    cdef AsgiSite site = exchange.site_of
    cdef object result = None, failed = None
    try:
        result = await site.app(exchange.scope, exchange.receive, exchange.send)
    except BaseException as error:
        failed = error
    if failed is not None or result is not None or not exchange.done:
        if exchange.done:
            site.parts.ended_late(failed, result)
        else:
            exchange.go_python()
            await site.parts.ended(exchange.cycle, failed, result)
    if exchange.cycle is not None:
        # They refer to each other. What the app has left running can send nothing more.
        exchange.gone = exchange.cycle.disconnected
        exchange.done = True
        exchange.cycle = None
    site.tasks.discard(site.parts.current_task())


cdef bint asgi_start(AsgiExchange self, object message) except -1:
    """Take ``http.response.start``; False if uvicorn is to."""
    cdef AsgiSite site = self.site_of
    cdef Answer answer
    cdef int code
    cdef size_t fields_at
    if type(message) is not dict or site.runtime.closing or self.lane.exchange is not self:
        return False
    if message.get("type") != "http.response.start":
        return False
    status = message.get("status")
    headers = message.get("headers")
    if type(status) is not int or (type(headers) is not list and type(headers) is not tuple):
        return False
    # A greater number does not fit into `code`.
    if not 200 <= status <= 599:
        return False
    code = status
    if not answer_clear(&answer, code):
        return False
    site.take_date()
    if not answer_text_raw(&answer, site.status_lines[status]):
        return False
    if not answer_text_raw(&answer, site.extra):
        return False
    fields_at = answer.size
    if not answer_text_raw(&answer, site.date_line):
        return False
    for pair in headers:
        if type(pair) is not tuple or len(pair) != 2:
            return False
        if not asgi_field(&answer, (<tuple>pair)[0], (<tuple>pair)[1]):
            return False
    if answer.length < 0 or not answer_raw(&answer, b"\r\n", 2):
        return False
    self.due = self.lane.engine.chain_ids is not None and ids_due(
        self.lane, self.ids, answer.head + fields_at, answer.size - fields_at
    )
    self.fields_at = fields_at
    self.head = PyBytes_FromStringAndSize(<char *>answer.head, answer.size)
    self.length = answer.length
    self.code = code
    # Of its own: the app may change the lists before it sends more.
    self.start = {"type": "http.response.start", "status": status, "headers": list(headers)}
    if not site.started:
        site.loop.call_soon(site.flush, context=site.context)
    site.started.append(self)
    return True


cdef bint answer_text_raw(Answer *answer, bytes text):
    return answer_raw(answer, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


cdef bint asgi_field(Answer *answer, object name, object value):
    """Write a field as uvicorn does; False where it, or `rewritten`, is to see it."""
    cdef Kind kind = answer_kind(name)
    cdef size_t start = answer.size, at
    if kind == LENGTH_FIELD:
        if not answer_field(answer, name, value):
            return False
    elif kind != PLAIN_FIELD:
        return False
    if not answer_text_raw(answer, name):
        return False
    for at in range(start, answer.size):
        answer.head[at] = sd_lower(answer.head[at])
    return (
        answer_raw(answer, b": ", 2)
        and answer_text(answer, value)
        and answer_raw(answer, b"\r\n", 2)
    )


cdef bint asgi_body(AsgiExchange self, object message) except -1:
    """Take ``http.response.body`` that is the whole of it; False if uvicorn is to."""
    cdef Lane lane = self.lane
    cdef bytes body
    cdef size_t head_size, size
    if (
        type(message) is not dict
        or lane.channel is not None
        or lane.at != ANSWER
        or lane.exchange is not self
        or message.get("type") != "http.response.body"
        or message.get("more_body")
    ):
        return False
    content = message.get("body", b"")
    if type(content) is not bytes or PyBytes_GET_SIZE(content) != self.length:
        return False
    body = content
    if self.site_of.runtime.closing:
        return False
    if self.due:
        asgi_add_ids(self)
        if lane.channel is not None:
            return False
    self.begun = self.done = True
    self.status = self.code
    self.start = None
    head_size, size = PyBytes_GET_SIZE(self.head), PyBytes_GET_SIZE(body)
    if lane.parts is None:
        lane.parts = []
    if size <= JOINED_MOST:
        lane.parts.append(answer_joined(PyBytes_AS_STRING(self.head), head_size, body))
    else:
        lane.parts.append(self.head)
        lane.parts.append(body)
    lane.parts_size += head_size + size
    self.head = None
    if lane.buffer is None:
        # It sends what is written.
        lane.answered(self, False)
    else:
        # In a context of its own: the next request must not see what this one's task has set.
        self.site_of.context.copy().run(lane.answered, self, False)
    return True


cdef int asgi_add_ids(AsgiExchange self) except -1:
    """Put the lines of the ids behind our own, where `AsgiExchange` has them."""
    cdef AsgiSite site = self.site_of
    cdef bytes status = site.status_lines[self.code], head = self.head
    cdef bytes rest = head[self.fields_at :]
    self.due = False
    lines = self._ids.lines(b"%d" % self.code, site.parts.fields_of(status + rest))
    self.head = head[: self.fields_at] + lines + rest
    return 0


include "engine_asgi_scope.pxi"
