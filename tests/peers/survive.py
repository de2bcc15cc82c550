"""Keep calling tools in one session of the official Python SDK, while somebody kills what is behind it.

    .peers/py1/bin/python tests/peers/survive.py '{"stdio": ["exai", "shim", "--server", "fixture"]}'

The argument is a way as compare.py takes it, to a fixture server. Four loops call its tools, each call with a text of
its own, until a line comes on stdin; then twenty more calls are made. Nothing is ever connected a second time.

Prints a line when the session works, and at the end an object: `calls`, `ok`, how many `errors` of each code,
`longest_ms`, the number of `last` calls that succeeded, and what went `wrong`: another text, another exception.
"""

import json
import sys
import tempfile
import time
from collections import Counter

import anyio
from compare import AnswerError, Wire, connected

LOOPS = 4
LAST = 20
TOOLS = ["append", "delay", "look"]


class Calls:
    def __init__(self, session):
        self.session = session
        self.made = self.ok = 0
        self.errors, self.wrong, self.longest = Counter(), [], 0.0

    async def one(self, label):
        tool = TOOLS[self.made % len(TOOLS)]
        self.made += 1
        text = f"{tool} {label} {self.made}"
        begun = time.monotonic()
        try:
            result = await self.session.call_tool(tool, {"message": text, "ms": 30})
            told = [content.text for content in result.content]
            if told == [text]:
                self.ok += 1
                return True
            self.wrong.append(f"{text}: answered with {told}")
        except AnswerError as error:
            self.errors[str(error.error.code)] += 1
        except Exception as error:  # the session is broken, and nothing else may hide that
            self.wrong.append(f"{text}: {type(error).__name__}: {error}")
        finally:
            self.longest = max(self.longest, time.monotonic() - begun)
        return False


async def run(way, errors):
    over = False
    async with connected(way, Wire(), {}, True, errors) as session:
        calls = Calls(session)
        # What a tool declares is known to exai once it was listed.
        await session.list_tools()

        async def loop(number):
            while not over:
                await calls.one(f"loop {number}")

        async with anyio.create_task_group() as group:
            for number in range(LOOPS):
                group.start_soon(loop, number)
            print("begun", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.readline)
            over = True
        last = 0
        for _ in range(LAST):
            last += await calls.one("last")
    return {
        "calls": calls.made,
        "ok": calls.ok,
        "errors": calls.errors,
        "longest_ms": round(calls.longest * 1000),
        "last": last,
        "wrong": calls.wrong,
    }


with tempfile.TemporaryFile("w+") as stderr:
    print(json.dumps(anyio.run(run, json.loads(sys.argv[1]), stderr)))
