"""Lets twistd and twist know stickyd."""

from twisted.application.service import ServiceMaker

stickyd = ServiceMaker(
    "stickyd",
    "stickyd.tap",
    "Keep every client with its own worker process.",
    "stickyd",
)
