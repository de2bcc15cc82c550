"""Compare what an application sees of a server in one era through exai with what it sees directly, with the official
Python SDK 2.x.

    echo '[{"server": "python", "mode": "auto", "ways": {"direct": {"stdio": […]}, "shim": {"stdio": […]}}}]' |
    .peers/py2/bin/python tests/peers/eras.py

On stdin comes an array of cells: the `server` names the steps in scenarios/eras.json, the `mode` is the SDK's ("auto",
"legacy", "2026-07-28"), and the `ways` are as compare.py takes them. What is seen over the first of them, after the
interpretation of the SDK, must be seen over each other one. Prints a line for each way that is equal, a diff for each that
is not, and ends with 1 then. Cells of several servers are compared at the same time.

What differs on purpose is left out: how long a result may be kept (`ttlMs`, `cacheScope`), and a `_meta` without members.
"""

import difflib
import json
import sys
import tempfile
import time
import warnings

import anyio
from compare import HERE, LIMIT, AnswerError, transport_of
from mcp import Client, types
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult

SCENARIOS = json.loads((HERE / "scenarios" / "eras.json").read_text(encoding="utf-8"))
LEFT_OUT = ("ttlMs", "cacheScope")


def seen(value):
    """A result of the SDK as plain data, without what differs on purpose."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(by_alias=True, mode="json", exclude_none=True)
    if isinstance(value, dict):
        kept = {key: seen(item) for key, item in value.items() if key not in LEFT_OUT}
        return {key: item for key, item in kept.items() if (key, item) != ("_meta", {})}
    return [seen(item) for item in value] if isinstance(value, list) else value


class App:
    """An application that takes the steps of a scenario."""

    def __init__(self, client):
        self.client = client
        self.progress = []
        self.changed = anyio.Event()

    async def heard(self, message):
        """A notification, which in the modern era belongs to a listen."""
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self.changed.set()

    async def step(self, step):
        self.progress = []
        try:
            result = seen(await self.take(step))
        except AnswerError as error:
            result = {"error": seen(error.error)}
        except Exception as error:  # the SDK's own judgement, which must be the same
            result = {"refused": type(error).__name__}
        return {"step": step, "seen": result, **({"progress": self.progress} if self.progress else {})}

    async def take(self, step):
        client = self.client
        if "list" in step:
            lists = {
                "tools": client.list_tools,
                "prompts": client.list_prompts,
                "resources": client.list_resources,
                "templates": client.list_resource_templates,
            }
            return await lists[step["list"]]()
        if "read" in step:
            return await client.read_resource(step["read"])
        if "prompt" in step:
            return await client.get_prompt(step["prompt"], step.get("arguments"))
        if "change" in step:
            return await self.change(step["change"])

        async def progress(progress, total, message):
            self.progress.append([progress, total, message])

        return await client.call_tool(
            step["call"], step.get("arguments", {}), **({"progress_callback": progress} if step.get("progress") else {})
        )

    async def change(self, tool):
        """Call a tool that changes the list of tools, and hear of it."""
        with anyio.fail_after(LIMIT):
            if self.client.protocol_version < "2026":
                self.changed = anyio.Event()
                await self.client.call_tool(tool, {})
                await self.changed.wait()
                return "changed"
            async with self.client.listen(tools_list_changed=True) as listen:
                await self.client.call_tool(tool, {})
                return type(await anext(aiter(listen))).__name__


async def look(way, mode, scenario, errors):
    async def sampling(_context, _params):
        content = {"type": "text", "text": "sampled"}
        return CreateMessageResult.model_validate(
            {"role": "assistant", "content": content, "model": "fixed", "stopReason": "endTurn"}
        )

    async def elicitation(_context, _params):
        return ElicitResult.model_validate(scenario["elicit"])

    async def roots(_context):
        return ListRootsResult.model_validate({"roots": [{"uri": "file:///peers/root", "name": "root"}]})

    app = App(None)
    callbacks = {"sampling_callback": sampling, "elicitation_callback": elicitation, "list_roots_callback": roots}
    client = Client(
        transport_of(way, errors),
        mode=mode,
        cache=None,
        read_timeout_seconds=LIMIT,
        message_handler=app.heard,
        client_info=types.Implementation(name="peer", version="1"),
        **callbacks,
    )
    async with client:
        app.client = client
        opening = {
            "version": client.protocol_version,
            "server": seen(client.server_info),
            "capabilities": seen(client.server_capabilities),
            "instructions": client.instructions,
        }
        # A list may be known before its server runs, and no call can be answered without it.
        await app.step({"call": "there-is-no-such-tool"})
        await anyio.sleep(scenario.get("settle_ms", 0) / 1000)
        return [opening, *[await app.step(step) for step in scenario["steps"]]]


async def compare_all(cells, errors):
    differences = []

    async def of_server(server):
        for cell in cells:
            if cell["server"] == server:
                await compare(cell)

    async def compare(cell):
        expected = None
        for name, way in cell["ways"].items():
            begun = time.monotonic()
            record = await look(way, cell["mode"], SCENARIOS[cell["server"]], errors)
            took = f"{time.monotonic() - begun:.1f} s"
            text = json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True).split("\n")
            what = f"{cell['server']} in mode {cell['mode']} over {name}"
            if expected is None:
                expected = text
                print(f"{what}: {record[0]['version']}, {took}", flush=True)
            elif text == expected:
                print(f"{what}: equal, {took}", flush=True)
            else:
                differences.append(what)
                print("\n".join(difflib.unified_diff(expected, text, "expected", what, lineterm="", n=4)), flush=True)

    async with anyio.create_task_group() as group:
        for server in {cell["server"] for cell in cells}:
            group.start_soon(of_server, server)
    return differences


if __name__ == "__main__":
    # The SDK warns about what later versions drop; that is no news here.
    warnings.simplefilter("ignore")
    with tempfile.TemporaryFile("w+") as stderr:
        sys.exit(1 if anyio.run(compare_all, json.load(sys.stdin), stderr) else 0)
