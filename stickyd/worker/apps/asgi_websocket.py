"""uvicorn's WebSocket protocol, with a bound on what the fragments of a message take."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Gathers fragments in one buffer.

    uvicorn keeps each as an object of its own, which takes some eighty bytes however few are in
    it: empty ones, which no bound on the size of a message counts, fill the memory.
    """

    def handle_cont(self, event: Frame) -> None:
        """A fragment behind the first."""
        whole: object = self.frames[0]
        if not isinstance(whole, bytearray):
            whole = bytearray(self.frames[0])
            self.frames = [whole]  # type: ignore[list-item]
        whole += event.data
        if event.fin:
            self.frames = [bytes(whole)]
            self.send_receive_event_to_app()
