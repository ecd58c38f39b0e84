"""An MCP server as its library's documentation shows it, for mcp 1.x and 2.x.

Nothing here knows of stickyd. The tool counts the calls of its session, in memory. The
library logs a traceback when a client ends its session, under any server; hence CRITICAL.
"""

import os
from collections import Counter

try:
    from mcp.server.fastmcp import Context, FastMCP

    server = FastMCP("counter", host="127.0.0.1", log_level="CRITICAL")
except ImportError:
    from mcp.server.mcpserver import Context, MCPServer

    server = MCPServer("counter", log_level="CRITICAL")

CALLS: Counter[str | None] = Counter()


@server.tool()
async def count(ctx: Context) -> str:
    """Count the calls of this session, 0 without one; and the process that counts."""
    session = ctx.request_context.request.headers.get("mcp-session-id")
    if session is not None:
        CALLS[session] += 1
    return f"{CALLS[session]} {os.getpid()}"


app = server.streamable_http_app()
