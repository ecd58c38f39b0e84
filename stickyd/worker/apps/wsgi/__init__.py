"""WSGI apps (PEP 3333), on threads of the worker."""
