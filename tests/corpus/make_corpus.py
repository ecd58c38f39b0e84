"""Writes the corpus: ``python -m tests.corpus.make_corpus``.

Each case is a pair of files, ``<rule>/<name>.http`` with the bytes a client
sends and ``<rule>/<name>.expect`` with what must come back. What is expected
follows from the rules (RFC 9110, RFC 9112, and where they leave a choice the
stricter reading, docs included), never from running the code.

An expectation has a line for each answer: a status, and for a request that the
app saw its method, target, and the length and digest of its body, then
``name=value`` for fields it must have seen and ``!name`` for those it must
not. The last line says what becomes of the connection:

- ``open``: the next request may follow at once,
- ``waits``: a request has begun, and its rest may follow,
- ``close``: nothing that follows is read as a request.
"""

import shutil
from pathlib import Path

from tests.corpus.case import Table
from tests.corpus.chunks import (
    BODY_SIZE,
    CHUNK,
    CHUNK_EXTENSION,
    CHUNK_FRAMING,
    CHUNK_SIZE,
    TRAILER,
)
from tests.corpus.connections import (
    CONNECTION,
    EXPECT,
    HTTP_1_0,
    LIMITS,
    NO_BODY,
    NOT_HTTP,
    PIPELINE,
    WAITS,
)
from tests.corpus.fields import FIELD_NAME, FIELD_VALUE, HOST, OBS_FOLD, UNDERSCORE
from tests.corpus.framing import BOTH_FRAMINGS, CONTENT_LENGTH, TRANSFER_ENCODING
from tests.corpus.request_lines import (
    CONNECT,
    EMPTY_LINE_FIRST,
    LINE_ENDINGS,
    METHODS,
    REQUEST_LINE,
    TARGET,
    VERSION,
)

HERE = Path(__file__).resolve().parent

RULES: dict[str, Table] = {
    "body_limit": BODY_SIZE,
    "both_framings": BOTH_FRAMINGS,
    "chunk": CHUNK,
    "chunk_extension": CHUNK_EXTENSION,
    "chunk_framing": CHUNK_FRAMING,
    "chunk_size": CHUNK_SIZE,
    "connect": CONNECT,
    "connection": CONNECTION,
    "content_length": CONTENT_LENGTH,
    "empty_line_first": EMPTY_LINE_FIRST,
    "expect": EXPECT,
    "field_name": FIELD_NAME,
    "field_value": FIELD_VALUE,
    "host": HOST,
    "http_1_0": HTTP_1_0,
    "limits": LIMITS,
    "line_endings": LINE_ENDINGS,
    "methods": METHODS,
    "no_body": NO_BODY,
    "not_http": NOT_HTTP,
    "obs_fold": OBS_FOLD,
    "pipeline": PIPELINE,
    "request_line": REQUEST_LINE,
    "target": TARGET,
    "trailer": TRAILER,
    "transfer_encoding": TRANSFER_ENCODING,
    "underscore": UNDERSCORE,
    "version": VERSION,
    "waits": WAITS,
}


def files() -> dict[str, bytes]:
    """The content of every file of the corpus, by its path below this directory."""
    content: dict[str, bytes] = {}
    for rule, table in RULES.items():
        for name, case in table.items():
            content[f"{rule}/{name}.http"] = case.data
            content[f"{rule}/{name}.expect"] = "".join(f"{line}\n" for line in case.lines).encode()
    return content


def found() -> dict[str, bytes]:
    """As `files`, from what is on the disk."""
    return {
        path.relative_to(HERE).as_posix(): path.read_bytes()
        for suffix in ("http", "expect")
        for path in HERE.glob(f"*/*.{suffix}")
    }


def main() -> None:
    """Write the corpus anew; what no table names any more goes away."""
    for rule in {Path(name).parent for name in found()}:
        shutil.rmtree(HERE / rule)
    for name, content in files().items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    print(f"{len(files()) // 2} cases")


if __name__ == "__main__":
    main()
