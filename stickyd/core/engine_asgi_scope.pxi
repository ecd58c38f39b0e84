# Which requests are served without uvicorn, and their scopes: a part of _engine.pyx.


cdef bint asgi_suits(const sd_head *head, const uint8_t *data):
    """Whether a request is one of those that are served here."""
    cdef const uint8_t *at = data + head.target
    cdef const uint8_t *end = at + head.target_size
    cdef bint query = False
    if head.length or not head.minor or not head.flags & SD_KEEP_ALIVE:
        return False
    if head.method_size == 4 and memcmp(data, b"HEAD", 4) == 0:
        return False
    if head.target_size > 1 and at[1] == b"/":
        return False
    while at < end:
        if at[0] == b"?":
            query = True
        elif at[0] == b"#" or (at[0] == b"%" and not query):
            return False
        elif not sd_bytes[at[0]] & SD_REG_NAME and at[0] not in b"/:@%":
            return False
        at += 1
    return True


cdef object asgi_client(Engine engine, Lane lane, const sd_head *head, const uint8_t *data, bint *secure):
    """The client of a request, and whether it uses TLS; NotImplemented where Python decides."""
    cdef sd_address peer, client
    cdef sd_walked walked
    cdef const sd_field *field
    cdef const sd_field *proto = NULL
    cdef uint32_t at
    cdef bint forwarded = False
    cdef char text[64]
    secure[0] = lane_over_tls(lane)
    for at in range(head.count):
        field = &head.fields[at]
        if field.id == SD_FORWARDED:
            return NotImplemented
        if field.id == SD_X_FORWARDED_FOR:
            forwarded = True
        elif field.id == SD_X_FORWARDED_PROTO:
            proto = field
    if forwarded or proto != NULL:
        engine_use_policy(engine)
        if engine.placer is None:
            return NotImplemented
        lane_peer_address(lane, &peer)
        if proto != NULL and sd_is_trusted(&engine.placer.c.trust, &peer):
            secure[0] = (
                proto.value_size == 5 and sd_same_name(data + proto.value, b"https", 5)
                or proto.value_size == 3 and sd_same_name(data + proto.value, b"wss", 3)
            )
        if forwarded:
            walked = sd_client_of_xff(&engine.placer.c.trust, head, data, &peer, &client)
            if walked == SD_ASK:
                return NotImplemented
            if walked == SD_CLIENT:
                return PyUnicode_DecodeASCII(text, sd_address_text(&client, text), NULL), 0
    return lane_as_frame(lane).peer


cdef AsgiExchange asgi_exchange(
    AsgiSite site, Lane lane, object made, const uint8_t *data, const sd_head *head
):
    """An exchange for a new request; None if it is for `AsgiApp.exchange`.

    :param made: the head as Python has it.
    :param data: with the head at its start.
    """
    cdef AsgiExchange exchange
    cdef bint secure
    cdef uint32_t at
    cdef bytes target, path
    if site.loop is None:
        site.begin()
    if not site.usable or not asgi_suits(head, data) or site.runtime.closing:
        return None
    client = asgi_client(lane.engine, lane, head, data, &secure)
    if client is NotImplemented:
        return None
    target = made[1]
    path, _, query = target.partition(b"?")
    exchange = AsgiExchange.__new__(site.exchange_type)
    exchange.site_of = site
    exchange.lane = lane
    exchange.asked_head = made
    fields = list(made[3])
    if lane.engine.chain_ids is not None:
        exchange.ids = ids_begin(lane, made, data, head)
        fields = ids_without_cookie(lane.engine.chain_ids, fields)
    exchange.client = client
    exchange.secure = secure
    text = path.decode("ascii")
    exchange.scope = {
        "type": "http",
        "asgi": {"version": site.asgi_version, "spec_version": "2.3"},
        "http_version": "1.1",
        "server": lane_as_frame(lane).local,
        "client": client,
        "scheme": "https" if secure else "http",
        "root_path": site.root_path,
        "headers": fields,
        "state": site.state.copy(),
        "method": (<bytes>made[0]).decode("ascii"),
        "path": site.root_path + text if site.root_path else text,
        "raw_path": site.raw_root_path + path if site.root_path else path,
        "query_string": query,
    }
    return exchange
