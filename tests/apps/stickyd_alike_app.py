"""What gives a resource when it is asked for one, as a Klein app does."""


class Alike:
    def resource(self):
        from twisted.web.resource import Resource

        given = Resource()
        given.data = b"alike"
        return given


ALIKE = Alike()
NOTHING = object()


def make():
    return ALIKE
