"""A small MCP server, written with the official Python SDK, 1.x or 2.x: whichever runs it.

    .peers/py1/bin/python tests/peers/py_server.py                 on stdio
    .peers/py1/bin/python tests/peers/py_server.py --http 9001     on http://127.0.0.1:9001/mcp
    .peers/py1/bin/python tests/peers/py_server.py --sse 9001      on http://127.0.0.1:9001/sse, HTTP+SSE

Its tools use what the SDK's users use: typed arguments, structured results, progress, logging,
elicitation, exceptions.
"""

import inspect
import sys

import anyio
from pydantic import BaseModel

try:
    from mcp.server.mcpserver import Context, MCPServer as Server  # 2.x
except ImportError:
    from mcp.server.fastmcp import Context, FastMCP as Server  # 1.x

from mcp.types import Completion

server = Server("python-peer", instructions="A peer of the tests.")


class Weather(BaseModel):
    """What `weather` answers, as structured content."""

    city: str
    degrees: float
    tags: list[str]


class Sure(BaseModel):
    """What `sure` asks the person for."""

    sure: bool


@server.tool()
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


@server.tool()
def weather(city: str) -> Weather:
    """A forecast that never changes."""
    return Weather(city=city, degrees=20.0, tags=["dry", "windy"])


@server.tool()
async def count(to: int, ctx: Context) -> str:
    """Count and report progress."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to, f"at {number}")
    return f"counted to {to}"


@server.tool()
async def say(text: str, ctx: Context) -> str:
    """Log a text in two levels."""
    await ctx.info(text)
    await ctx.warning(text)
    return "said"


@server.tool()
async def sure(ctx: Context) -> str:
    """Ask the person."""
    answer = await ctx.elicit("Are you sure?", Sure)
    return f"{answer.action} {getattr(answer, 'data', None)}"


@server.tool()
async def sleep(seconds: float) -> str:
    """Take some time."""
    await anyio.sleep(seconds)
    return "slept"


@server.tool()
def broken() -> str:
    """Raise."""
    raise RuntimeError("broken as told")


@server.resource("demo://settings", mime_type="application/json")
def settings() -> str:
    """A fixed document."""
    return '{"theme": "dark", "size": 1.0}'


@server.resource("demo://greeting/{name}")
def greeting(name: str) -> str:
    """A document per name."""
    return f"Hello, {name}"


@server.prompt()
def review(code: str) -> str:
    """Ask for a review."""
    return f"Please review: {code}"


@server.completion()
async def complete(ref, argument, context):
    """Complete every argument from the same words."""
    words = [word for word in ("pear", "plum", "apple") if word.startswith(argument.value)]
    return Completion(values=words, total=len(words), hasMore=False)


def serve_http(transport: str, port: int) -> None:
    """Serve a transport over HTTP; where the port is said changed between 1.x and 2.x."""
    if "port" in inspect.signature(server.run).parameters or not hasattr(server.settings, "port"):
        server.run(transport, port=port)
    else:
        server.settings.port = port
        server.run(transport)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--http"]:
        serve_http("streamable-http", int(sys.argv[2]))
    elif sys.argv[1:2] == ["--sse"]:
        serve_http("sse", int(sys.argv[2]))
    else:
        server.run("stdio")
