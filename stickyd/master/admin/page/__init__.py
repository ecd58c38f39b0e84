"""The live page of the admin listener: ``/``, and the events that keep it current."""
