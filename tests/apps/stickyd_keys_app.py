"""An app that keeps its sessions in memory, under ids from `stickyd.keys`."""

import json

from twisted.web.resource import Resource

from stickyd import keys

SESSIONS = {}


class Sessions(Resource):
    isLeaf = True

    def render(self, request):
        return json.dumps(getattr(self, request.path.strip(b"/").decode())(request)).encode()

    def _visit(self, request, sid):
        if sid is None:
            sid = keys.new_key()
            SESSIONS[sid] = 0
        elif sid not in SESSIONS:
            request.setResponseCode(404)
            return {"slot": keys.slot(), "error": "unknown session"}
        SESSIONS[sid] += 1
        return {"slot": keys.slot(), "sid": sid, "visits": SESSIONS[sid]}

    def url(self, request):
        """The session of ?sid=."""
        sid = request.args.get(b"sid", [None])[0]
        return self._visit(request, sid.decode() if sid else None)

    def cookie(self, request):
        """The session of the cookie sid."""
        sid = request.getCookie(b"sid")
        told = self._visit(request, sid.decode() if sid else None)
        if not sid:
            request.addCookie("sid", told["sid"], path="/", httpOnly=True, secure=True)
        return told

    def client(self, request):
        """Who the app takes the client for."""
        address, peer = request.getClientAddress(), request.transport.getPeer()
        return {
            "client": [type(address).__name__, getattr(address, "host", ""), _port(address)],
            "peer": [type(peer).__name__, getattr(peer, "host", ""), _port(peer)],
            "secure": request.isSecure(),
            "xff": request.getHeader("x-forwarded-for"),
        }


def _port(address):
    return getattr(address, "port", None)
