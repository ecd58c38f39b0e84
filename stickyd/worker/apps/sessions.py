"""Sessions of twisted.web whose ids bring their client back to the worker that made them."""

from twisted.web.server import Session, Site

from stickyd import keys


class KeyedSite(Site):
    """Like its parent, but ``request.getSession()`` makes ids that carry the slot.

    So ``cookie(TWISTED_SESSION)`` as an affinity source finds the worker that has the session.
    """

    def makeSession(self) -> Session:
        """A new session, known to this site."""
        uid = keys.new_key().encode("ascii")
        session = self.sessions[uid] = self.sessionFactory(self, uid)
        session.startCheckingExpiration()
        return session
