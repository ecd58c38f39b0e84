# Exchanges of twisted.web on lanes, and what belongs to exchanges of any kind: a part of _engine.pyx.

include "engine_answer.pxi"
include "engine_web_answer.pxi"
include "engine_asgi.pxi"


cdef class WebSite:
    """What the exchanges of one site share.

    :param parts: what they are made of; see `stickyd.worker.apps.compiled.web.WebParts`.
    """

    cdef object site, parts
    cdef object request_factory, request_type, exchange_type, headers_type
    cdef object resource_render, resource_for, child_of, encoding, unsupported, failure, later
    cdef object request_render, request_finish
    cdef dict render_names
    cdef bytes extra, default_type, version, date
    cdef str raw_name
    cdef time_t second

    def __init__(self, parts):
        self.parts = parts
        self.site = parts.site
        self.request_factory = parts.request_factory
        self.request_type = parts.request_type
        self.exchange_type = parts.exchange_type
        self.headers_type = parts.headers_type
        self.resource_render = parts.resource_render
        self.resource_for = parts.resource_for
        self.child_of = parts.child_of
        self.encoding = parts.encoding
        self.unsupported = parts.unsupported
        self.failure = parts.failure
        self.later = parts.later
        self.request_render = parts.request_render
        self.request_finish = parts.request_finish
        self.render_names = {
            method: "render_" + method.decode("ascii")
            for method in (b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS")
        }
        self.extra = parts.header_line
        self.raw_name = parts.raw_name
        self.version = parts.server_version
        self.default_type = b"text/html"


cdef class WebExchange:
    """What `stickyd.worker.apps.web.WebExchange` does for nearly all requests.

    A base of one of its classes, whose other methods do the rest with the same attributes. Made by
    the engine only, for a lane.
    """

    cdef WebSite web
    cdef Lane lane
    cdef object head, ids
    cdef bytes raw, method, target
    cdef uint32_t minor, flags
    cdef public object _request, _left
    cdef public int status
    cdef public bint begun, _last
    cdef readonly object length

    @property
    def _channel(self):
        return self.lane

    @property
    def transport(self):
        """The connection."""
        return self.lane

    @property
    def site(self):
        """The site that the request is for."""
        return self.web.site

    @property
    def factory(self):
        """The same, as `http.Request` calls it."""
        return self.web.site

    @property
    def _target(self):
        return self.target

    @property
    def _authority(self):
        # A plain head's target has none.
        return None

    @property
    def _peer(self):
        return lane_peer_text(self.lane)

    @property
    def _ids(self):
        if self.ids is None and self.lane.engine.chain_ids is not None:
            self.ids = ids_made(self.lane, web_head(self))
        return self.ids

    @property
    def _head(self):
        cdef ChainIds chain = self.lane.engine.chain_ids
        return web_head(self) if chain is None or chain.inserts < 0 else self._ids.head

    def requestReceived(self):
        """The request is complete: the app may answer, now or later."""
        if self.length or b"?" in self.target or not web_is_usual(self.web):
            self.web.parts.received(self)
        else:
            web_process(self)

    def requestDone(self, request):
        """The answer is complete."""
        left = self._left
        if left is not None and left > 0:
            self.web.parts.done(self, request)
            return
        # The app may keep the request, which refers to this exchange: so break the cycle.
        self._request = None
        self.lane.answered(self, self._last)


cdef object web_head(WebExchange self):
    """The head of the request as it came."""
    cdef sd_head found
    cdef HeadReader reader
    cdef const uint8_t *start
    if self.head is None:
        reader = self.lane.engine.reader
        start = <const uint8_t *>PyBytes_AS_STRING(self.raw)
        if sd_read_head(start, PyBytes_GET_SIZE(self.raw), 0, &reader._bounds, &found) != SD_HEAD:
            raise AssertionError("a head that was one is none")
        self.head = reader.make(start, &found)
        self.raw = None
    return self.head


cdef WebExchange web_exchange(
    WebSite web, Lane lane, object made, const uint8_t *data, const sd_head *head
):
    """An exchange for a new request; None if the site has requests of its own.

    :param made: the head, if Python has it already.
    :param data: with the head at its start; not looked at after an app is called.
    """
    cdef WebExchange exchange
    cdef object request
    cdef dict attributes
    site = web.site
    if site.requestFactory is not web.request_factory:
        return None
    exchange = WebExchange.__new__(web.exchange_type)
    exchange.web = web
    exchange.lane = lane
    if lane.engine.chain_ids is not None:
        exchange.ids = ids_begin(lane, made, data, head)
        if exchange.ids is not None:
            made = exchange.ids.asked
    exchange.head = made
    if made is None:
        exchange.raw = PyBytes_FromStringAndSize(<const char *>data, head.size)
    if head.method_size == 3 and memcmp(data, b"GET", 3) == 0:
        exchange.method = b"GET"
    else:
        exchange.method = PyBytes_FromStringAndSize(<const char *>data, head.method_size)
    exchange.target = PyBytes_FromStringAndSize(
        <const char *>data + head.target, head.target_size
    )
    exchange.minor = head.minor
    exchange.flags = head.flags
    exchange._last = not head.flags & SD_KEEP_ALIVE
    exchange._left = -1
    exchange.length = head.length
    # From here on ``data`` is not to be read.
    request = (<HeapType *>web.request_type).tp_new(<HeapType *>web.request_type, (), NULL)
    exchange._request = request
    attributes = request.__dict__
    attributes["channel"] = attributes["_exchange"] = exchange
    attributes["transport"] = lane
    attributes["responseHeaders"] = web_headers(web)
    if exchange.length or hasattr(site, "getContentFile"):
        request.gotLength(exchange.length)
    return exchange


cdef object web_headers(WebSite web):
    """The headers that an answer has unless the app takes them away."""
    cdef time_t now = time(NULL)
    cdef object headers
    if now != web.second:
        web.date = web.parts.date()
        web.second = now
    headers = (<HeapType *>web.headers_type).tp_new(<HeapType *>web.headers_type, (), NULL)
    setattr(headers, web.raw_name, {b"Server": [web.version], b"Date": [web.date]})
    return headers


cdef bint web_is_usual(WebSite web) except -1:
    """Whether requests are as their library has them, and not changed for an instrumentation."""
    return (
        web.request_type.render is web.request_render
        and web.request_type.finish is web.request_finish
    )


cdef bint is_function(object method, object function):
    """Whether a bound method is of that function."""
    return type(method) is MethodType and PyMethod_GET_FUNCTION(method) == <void *>function


cdef int web_process(WebExchange self) except -1:
    """As `LeanRequest.requestReceived` and `process` for a request without query and body."""
    cdef WebSite web = self.web
    cdef object request = self._request
    cdef dict attributes = request.__dict__
    cdef bytes path = self.target
    cdef list segments, before = []
    attributes["args"] = {}
    attributes["method"] = self.method
    attributes["uri"] = attributes["path"] = path
    attributes["clientproto"] = b"HTTP/1.1" if self.minor else b"HTTP/1.0"
    site = attributes["site"] = web.site
    attributes["prepath"] = before
    segments = path[1:].split(b"/")
    if b"%" in path:
        segments = web.parts.unquoted(segments)
    attributes["postpath"] = segments
    try:
        find = site.getResourceFor
        if is_function(find, web.resource_for):
            attributes["sitepath"] = []
            resource = site.resource
            if not resource.isLeaf:
                resource = web.child_of(resource, request)
        else:
            resource = find(request)
        if web.encoding(resource) or self.method == b"HEAD":
            request.render_found(resource)
        else:
            web_render(self, request, attributes, resource)
    except BaseException:
        request.processingFailed(web.failure())
    return 0


cdef int web_render(
    WebExchange self, object request, dict attributes, object resource
) except -1:
    """As `Request.render`, which has what is left."""
    cdef WebSite web = self.web
    cdef object method = None, body, error = None
    render = resource.render
    if is_function(render, web.resource_render):
        name = web.render_names.get(attributes["method"])
        if name is not None:
            method = getattr(resource, name, None)
        if not method:
            request.render(resource)
            return 0
        render = method
    try:
        body = render(request)
    except web.unsupported as unsupported:
        body = None
        error = unsupported
    if error is None:
        if body is web.later:
            return 0
        if type(body) is bytes and web_answer(self, request, attributes, body):
            return 0
    request.render(web.parts.rendered(resource, body, error))
    return 0
