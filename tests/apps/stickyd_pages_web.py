"""The pages of tests/integration/test_framework_pages.py, of twisted.web."""

import io
import itertools

import stickyd_pages_common as common
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET


class Pages(Resource):
    isLeaf = True

    def render(self, request):
        return getattr(self, request.path.strip(b"/").decode())(request)

    def stream(self, request):
        class Producer:
            def __init__(self):
                self.blocks = common.blocks(int(request.args[b"n"][0]))

            def resumeProducing(self):
                block = next(self.blocks, None)
                if block is not None:
                    request.write(block)
                    return
                request.unregisterProducer()
                request.finish()

            def stopProducing(self):
                pass

        request.registerProducer(Producer(), False)
        return NOT_DONE_YET

    def events(self, request):
        request.setHeader("Content-Type", "text/event-stream")
        numbers = itertools.count()
        writing = LoopingCall(lambda: request.write(common.event(next(numbers))))

        def gone(failure):
            writing.stop()
            common.GONE.append(failure)

        request.notifyFinish().addErrback(gone)
        writing.start(0.02)
        return NOT_DONE_YET

    def upload(self, request):
        # What twisted.web tells of a form: names and contents, but no file names.
        content = request.args.get(b"file")
        file = io.BytesIO(content[0]) if content is not None else request.content
        return common.told("upload.bin", file)

    def background(self, request):
        # In the next turn, when the answer is on its way.
        reactor.callLater(0, deferToThread, common.job)
        request.setResponseCode(202)
        return b"begun"

    def go(self, request):
        common.GO.set()
        return b""

    def state(self, request):
        return common.state()

    def boom(self, request):
        raise ValueError("a page's fault")
