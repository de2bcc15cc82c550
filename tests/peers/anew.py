"""Keep calling tools over HTTP with the official Python SDK, while somebody restarts the daemon behind it.

    .peers/py1/bin/python tests/peers/anew.py '{"http": "http://127.0.0.1:8079/mcp/fix", "token": "…"}'

The argument is a way as compare.py takes it, to a fixture server. One loop calls a tool, another lists the tools, until a
line comes on stdin; then twenty more calls are made. When a session is of no use any more (the server does not know it, or
the transport has ended), another one is begun, as the SDK's documentation wants it.

Prints a line when the first session works, and at the end an object: `calls`, `lists`, `sessions` that were begun, how
often each of the `failures` was met, `longest_ms` without a success, the number of `last` calls that succeeded, and what
went `wrong`: another text, a list that is another.
"""

import json
import sys
import tempfile
import time
from collections import Counter

import anyio
from compare import AnswerError, Wire, connected

LAST = 20


def reason(error):
    """An exception in one word, with its code; the SDK wraps those of its tasks in groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, AnswerError):
        return f"{error.error.code} {error.error.message}"
    status = getattr(getattr(error, "response", None), "status_code", "")
    return f"{type(error).__name__} {status}".strip()


class Run:
    def __init__(self, way, errors):
        self.way, self.errors = way, errors
        self.over = False
        self.names = None
        self.report = {"calls": 0, "lists": 0, "sessions": 0, "failures": Counter(), "longest_ms": 0, "last": 0, "wrong": []}
        self.succeeded = time.monotonic()

    def success(self, what):
        now = time.monotonic()
        self.report[what] += 1
        self.report["longest_ms"] = max(self.report["longest_ms"], round((now - self.succeeded) * 1000))
        self.succeeded = now

    async def call(self, session):
        text = f"call {self.report['calls']}"
        told = [content.text for content in (await session.call_tool("delay", {"message": text, "ms": 10})).content]
        if told != [text]:
            self.report["wrong"].append(f"{text}: {told}")
        self.success("calls")

    async def list(self, session):
        names = [tool.name for tool in (await session.list_tools()).tools]
        self.names = self.names or names
        if names != self.names:
            self.report["wrong"].append(f"another list: {names}")
        self.success("lists")

    async def attempt(self, what, step, session):
        try:
            with anyio.fail_after(5):
                await step(session)
            return True
        except Exception as error:
            self.report["failures"][f"{what}: {reason(error)}"] += 1
            return False

    async def use(self, session, work):
        async with anyio.create_task_group() as group:

            async def loop(what, step):
                while not self.over and await self.attempt(what, step, session):
                    await anyio.sleep(0.005)
                group.cancel_scope.cancel()

            for what, step in work:
                group.start_soon(loop, what, step)

    async def sessions(self, task_status):
        while not self.over:
            try:
                async with connected(self.way, Wire(), {}, True, self.errors) as session:
                    self.report["sessions"] += 1
                    if self.report["sessions"] == 1:
                        await self.list(session)
                        task_status.started()
                    await self.use(session, [("call", self.call), ("list", self.list)])
            except Exception as error:
                if not self.names:
                    raise  # No restart has anything to do with it.
                self.report["failures"][f"session: {reason(error)}"] += 1
                await anyio.sleep(0.05)

    async def whole(self):
        async with anyio.create_task_group() as group:
            await group.start(self.sessions)
            print("begun", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.readline)
            self.over = True
        async with connected(self.way, Wire(), {}, True, self.errors) as session:
            for _ in range(LAST):
                self.report["last"] += await self.attempt("last", self.call, session)
        return self.report


with tempfile.TemporaryFile("w+") as stderr:
    print(json.dumps(anyio.run(Run(json.loads(sys.argv[1]), stderr).whole)))
