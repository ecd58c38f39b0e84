# Whole answers of twisted.web apps: a part of _engine.pyx.


cdef bint web_answer(WebExchange self, object request, dict attributes, bytes body) except -1:
    """Write an answer whole and finish it, if nothing is unusual about it; False otherwise."""
    cdef WebSite web = self.web
    cdef Lane lane = self.lane
    cdef Answer answer
    cdef bint last
    cdef int code
    cdef size_t size = PyBytes_GET_SIZE(body), fields_at
    cdef bytes extra = web.extra
    cdef dict raw
    cdef char digits[20]
    if (
        lane.channel is not None
        or lane.at != ANSWER
        or lane.exchange is not self
        or self.begun
        or self._request is not request
        or attributes.get("channel") is not self
        or attributes.get("method") is not self.method
        or attributes.get("cookies")
        or "startedWriting" in attributes
        or "finished" in attributes
        or "write" in attributes
        or "finish" in attributes
        or "setHeader" in attributes
        or "producer" in attributes
        or "lastModified" in attributes
        or "etag" in attributes
        or "queued" in attributes
        or "clientproto" not in attributes
    ):
        return False
    headers = request.responseHeaders
    if type(headers) is not web.headers_type:
        return False
    code = request.code
    if not answer_begin(&answer, self.minor, code, request.code_message):
        return False
    fields_at = answer.size
    # As `Request.render` and `LeanRequest.write` do.
    raw = getattr(headers, web.raw_name)
    raw[b"Content-Length"] = [PyBytes_FromStringAndSize(digits, decimal(digits, size))]
    if size and b"Content-Type" not in raw:
        default = request.defaultContentType
        if default is not None:
            if default != web.default_type:
                return False
            raw[b"Content-Type"] = [default]
    for name, values in raw.items():
        for value in values:
            if not answer_field(&answer, name, value):
                return False
    last = self._last or lane.engine.connections.closing
    if answer.length != <int64_t>size:
        return False
    if lane.engine.chain_ids is not None and ids_due(
        lane, self.ids, answer.head + fields_at, answer.size - fields_at
    ):
        extra = extra + self._ids.lines(b"%d" % code, list(headers.getAllRawHeaders()))
        if lane.channel is not None:
            return False
    if not answer_end(&answer, self.minor, False, self.flags, extra, &last):
        return False
    # From here on it is answered here.
    self.begun = True
    self.status = code
    self._last = last
    self._left = 0
    attributes["startedWriting"] = 1
    attributes["sentLength"] = size
    if size <= JOINED_MOST:
        lane_put(lane, answer_joined(answer.head, answer.size, body))
    else:
        lane_put(lane, PyBytes_FromStringAndSize(<char *>answer.head, answer.size))
        lane_put(lane, body)
    web_finish(self, request, attributes)
    return True


cdef int web_finish(WebExchange self, object request, dict attributes) except -1:
    """As `http.Request.finish` of an answer that is written."""
    self.web.site.log(request)
    attributes["finished"] = 1
    self._request = None
    self.lane.answered(self, self._last)
    attributes.pop("channel", None)
    content = attributes.pop("content", None)
    if content is not None:
        try:
            content.close()
        except OSError:
            pass
    notifications = attributes.get("notifications")
    if notifications is not None:
        for each in notifications:
            each.callback(None)
        attributes["notifications"] = []
    return 0
