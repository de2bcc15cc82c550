"""Compare what an MCP client sees on two ways to the same server, with the official Python SDK.

    .peers/py1/bin/python tests/peers/compare.py --server fixture --b '{"stdio": ["exai", "shim", "--server", "fixture"]}'
    .peers/py2/bin/python tests/peers/compare.py --server everything --b '{"http": "http://127.0.0.1:8079/mcp/everything", "token": "…"}'
    .peers/py1/bin/python tests/peers/compare.py --server memory --b '{"ws": "ws://127.0.0.1:8079/mcp/memory", "token": "…"}'
    .peers/py1/bin/python tests/peers/compare.py --server all --repeat 5

The same scenario (scenarios/NAME.json) runs over way A, then over way B, each with a client of the SDK
this Python has (1.x: ClientSession; 2.x: Client(mode="legacy")). Each message the client receives is
recorded as it came, before the SDK interprets it. Both transcripts must be equal; if not, a unified
diff is printed and the exit code is 1.

Options
  --server NAME   fixture, everything, filesystem, memory, python, or all (direct ways only)
  --a WAY         default: the server itself over stdio, as --b's is
  --b WAY         {"stdio": [COMMAND, ARG…], "env": {…}, "cwd": "…"}
                  {"http": URL, "token": T}     the token goes into Authorization: Bearer
                  {"ws": URL, "token": T}       SDK 1.x only; the token goes into the URL as Basic password
  --dir DIR       the folder given to the server (default: a fresh one). To compare through a daemon,
                  configure the server with what --print-server says for the same DIR.
  --target DIR    where fixture-server is (default: target/debug of this checkout)
  --repeat N      so many comparisons
  --bare          a client without sampling, elicitation and roots
  --out FILE      write the transcript of B, normalised
  --print-server  print {"command": …, "args": […], "env": {…}} of the server, and stop

What is ignored: what arrives while the server settles after initialize (a scenario's settle_ms: a daemon
initialises a shared server once, not once per client), the texts a scenario calls volatile, the folder,
and the ids of requests made by the server, which are the sender's own business.
"""

import argparse
import difflib
import functools
import importlib.metadata
import json
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = ROOT / ".peers"
IS_2 = int(importlib.metadata.version("mcp").split(".")[0]) >= 2
SERVERS = ["fixture", "everything", "filesystem", "memory", "python"]
# The longest a single answer or awaited notification may take.
LIMIT = 30.0
# The SDK takes up to a second to load, and whoever asks for the command of a server does not need it.
if "--print-server" not in sys.argv:
    import anyio
    from mcp import ClientSession, StdioServerParameters, types
    from mcp.client.stdio import stdio_client
    from mcp.shared.message import SessionMessage

    # Errors the SDKs raise for an error answer.
    try:
        from mcp import MCPError as AnswerError
    except ImportError:
        from mcp import McpError as AnswerError


# ------------------------------------------------------------------ what goes over the wire
class Wire:
    """The messages of one connection, as received, and a way past the SDK."""

    def __init__(self):
        self.heard = []  # (method, params, is_request) in order of arrival
        self.answers = {}  # id -> outcome, of every answer in order
        self.raw = {}  # id -> event, of requests made past the SDK
        self.changed = anyio.Event()
        self.write = None

    def take(self, item):
        """Record one item of the read stream; True when the SDK must not see it."""
        if isinstance(item, Exception):
            self.heard.append(("not a message", {"type": type(item).__name__}, False))
            return self._wake(False)
        message = item.message.model_dump(by_alias=True, mode="json", exclude_unset=True)
        if "method" in message:
            self.heard.append((message["method"], message.get("params"), "id" in message))
            return self._wake(False)
        outcome = {key: message[key] for key in ("result", "error") if key in message}
        self.answers.setdefault(message.get("id"), []).append(outcome)
        return self._wake(message.get("id") in self.raw)

    def _wake(self, value):
        self.changed.set()
        self.changed = anyio.Event()
        return value

    async def until(self, condition, limit=LIMIT):
        """Wait until condition() holds; False when it does not in time."""
        with anyio.move_on_after(limit):
            while not condition():
                await self.changed.wait()
        return condition()

    async def send(self, message):
        message = {"jsonrpc": "2.0", **message}
        if IS_2:
            await self.write.send(SessionMessage(types.jsonrpc_message_adapter.validate_python(message)))
        else:
            await self.write.send(SessionMessage(types.JSONRPCMessage.model_validate(message)))

    def count(self, method):
        return sum(1 for heard in self.heard if heard[0] == method)


@asynccontextmanager
async def tapped(transport, wire):
    """A transport whose messages pass through `wire`."""
    async with transport as streams:
        read, wire.write = streams[0], streams[1]
        send, receive = anyio.create_memory_object_stream(10_000)

        async def pump():
            async with send:
                async for item in read:
                    if not wire.take(item):
                        try:
                            await send.send(item)
                        except anyio.BrokenResourceError:
                            return  # the session has ended, and the server still had something to say

        async with anyio.create_task_group() as group:
            group.start_soon(pump)
            yield receive, wire.write
            group.cancel_scope.cancel()


def transport_of(way, errors):
    if "stdio" in way:
        command, *arguments = way["stdio"]
        parameters = StdioServerParameters(command=command, args=arguments, env=way.get("env"), cwd=way.get("cwd"))
        return stdio_client(parameters, errlog=errors)
    token = way.get("token")
    if "http" in way:
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        headers = {"Authorization": f"Bearer {token}"} if token else None
        return streamable_http_client(way["http"], http_client=create_mcp_http_client(headers=headers))
    if IS_2:
        sys.exit("the Python SDK 2.x has no WebSocket client; use 1.x")
    from mcp.client import websocket

    # The SDK takes what its library does by default: 1 MiB a frame, less than the scenarios want to see.
    websocket.ws_connect = functools.partial(websocket.ws_connect, max_size=None)

    url = urlsplit(way["ws"])
    if token:
        url = url._replace(netloc=f"exai:{token}@{url.netloc}")
    return websocket.websocket_client(urlunsplit(url))


@asynccontextmanager
async def connected(way, wire, scenario, bare, errors):
    """A session of the SDK, initialised."""

    async def sampling(_context, _params):
        return types.CreateMessageResult.model_validate(
            {"role": "assistant", "content": {"type": "text", "text": "sampled"}, "model": "fixed", "stopReason": "endTurn"}
        )

    async def elicitation(_context, _params):
        return types.ElicitResult.model_validate(scenario.get("elicit", {"action": "decline"}))

    async def roots(_context):
        return types.ListRootsResult.model_validate({"roots": [{"uri": "file:///peers/root", "name": "root"}]})

    callbacks = {} if bare else {
        "sampling_callback": sampling, "elicitation_callback": elicitation, "list_roots_callback": roots
    }
    transport = tapped(transport_of(way, errors), wire)
    if IS_2:
        from mcp import Client

        async with Client(transport, mode="legacy", cache=None, read_timeout_seconds=LIMIT, **callbacks) as client:
            yield client.session
    else:
        from datetime import timedelta

        async with transport as (read, write):
            async with ClientSession(read, write, read_timeout_seconds=timedelta(seconds=LIMIT), **callbacks) as session:
                await session.initialize()
                yield session


# ------------------------------------------------------------------ the steps of a scenario
class Run:
    """One run of a scenario: executes the steps, keeps the transcript."""

    def __init__(self, session, wire):
        self.session, self.wire = session, wire
        self.raw_ids = 0
        self.listed = []

    async def sdk(self, call):
        """Call a method of the SDK and return the answer as it came over the wire.

        What the SDK makes of it is recorded too, if it refuses it."""
        before = {key: len(value) for key, value in self.wire.answers.items()}
        refused = None
        try:
            await call
        except AnswerError:
            pass  # the answer is an error, and it is on the wire
        except Exception as error:
            refused = type(error).__name__
        new = [
            outcome
            for key, outcomes in self.wire.answers.items()
            for outcome in outcomes[before.get(key, 0):]
        ]
        return {"answers": new, **({"sdk_refused": refused} if refused else {})}

    async def raw(self, method, params):
        """A request past the SDK, with an id of another kind than the SDK's."""
        key = await self.raw_start(method, params)
        answered = await self.wire.until(lambda: key in self.wire.answers)
        return {"answers": self.wire.answers[key] if answered else "none"}

    async def raw_start(self, method, params):
        self.raw_ids += 1
        key = f"raw-{self.raw_ids}"
        self.wire.raw[key] = True
        message = {"id": key, "method": method}
        if params is not None:
            message["params"] = params
        await self.wire.send(message)
        return key

    async def step(self, step):
        do, session = step["do"], self.session
        uri = step.get("uri")
        uri = uri if IS_2 or uri is None else types.AnyUrl(uri) if hasattr(types, "AnyUrl") else uri
        if do == "ping":
            return await self.sdk(session.send_ping())
        if do == "list":
            return await self.list(step["what"])
        if do == "call":
            return await self.call(step)
        if do == "read":
            return await self.sdk(session.read_resource(uri))
        if do == "read_all":
            return [await self.step({"do": "read", "uri": item["uri"]}) for item in self.listed]
        if do == "subscribe":
            return await self.sdk(session.subscribe_resource(uri))
        if do == "unsubscribe":
            return await self.sdk(session.unsubscribe_resource(uri))
        if do == "prompt":
            return await self.sdk(session.get_prompt(step["name"], step.get("arguments")))
        if do == "complete":
            kind = {"ref/prompt": "PromptReference", "ref/resource": "ResourceTemplateReference"}[step["ref"]["type"]]
            return await self.sdk(session.complete(getattr(types, kind).model_validate(step["ref"]), step["argument"]))
        if do == "level":
            return await self.sdk(session.set_logging_level(step["level"]))
        if do == "raw":
            return await self.raw(step["method"], step.get("params"))
        if do == "cancel":
            return await self.cancel(step)
        if do == "sdk_cancel":
            return await self.sdk_cancel(step)
        raise SystemExit(f"unknown step {do!r}")

    async def list(self, what):
        method = {
            "tools": "list_tools",
            "resources": "list_resources",
            "templates": "list_resource_templates",
            "prompts": "list_prompts",
        }[what]
        pages, cursor = [], None
        while True:
            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await self.sdk(getattr(self.session, method)(params=params))
            pages.append(page)
            result = page["answers"][0].get("result", {}) if page["answers"] else {}
            if what == "resources":
                self.listed = (self.listed if cursor else []) + result.get("resources", [])
            cursor = result.get("nextCursor")
            if not cursor:
                return pages

    async def call(self, step):
        async def progress(_progress, _total, _message):
            pass

        before = self.wire.count("notifications/progress")
        callback = {"progress_callback": progress} if step.get("progress") else {}
        answer = await self.sdk(self.session.call_tool(step["tool"], step["arguments"], **callback))
        # Only what came before the answer counts: later progress is worth nothing to a client.
        answer["progress_before_answer"] = self.wire.count("notifications/progress") - before
        return answer

    async def cancel(self, step):
        """Give up on a request in the way the protocol says, and see that no answer comes late."""
        key = await self.raw_start("tools/call", {"name": step["tool"], "arguments": step["arguments"]})
        await anyio.sleep(step["after_ms"] / 1000)
        await self.wire.send(
            {"method": "notifications/cancelled", "params": {"requestId": key, "reason": "the test says so"}}
        )
        await anyio.sleep(step["quiet_ms"] / 1000)
        return {"answers": self.wire.answers.get(key, "none, as it should be")}

    async def sdk_cancel(self, step):
        """Give up in the way the SDK offers; what that sends is its own business."""
        with anyio.move_on_after(step["after_ms"] / 1000):
            await self.sdk(self.session.call_tool(step["tool"], step["arguments"]))
        return {"answers": "not waited for"}


async def transcript(way, scenario, bare, errors):
    wire = Wire()
    steps = []
    async with connected(way, wire, scenario, bare, errors) as session:
        run = Run(session, wire)
        initialize = list(wire.answers.values())
        # A daemon may know what the server says before it runs. No call can be answered without it.
        await run.raw("tools/call", {"name": "there-is-no-such-tool", "arguments": {}})
        await anyio.sleep(scenario.get("settle_ms", 100) / 1000)
        if "reset" in scenario:
            await run.raw("tools/call", {"name": scenario["reset"]["tool"], "arguments": {}})
        wire.heard.clear()
        for step in scenario["steps"]:
            before = Counter(heard[0] for heard in wire.heard)
            answer = await run.step(step)
            missing = []
            for method, number in step.get("expect", {}).items():
                goal = before[method] + number
                if not await wire.until(lambda m=method, g=goal: wire.count(m) >= g, 15.0):
                    missing.append(method)
            if step.get("volatile"):
                answer = "volatile"
            steps.append({"step": step, **({"answer": answer}), **({"never_came": missing} if missing else {})})
        # What is still on its way belongs to the transcript.
        await anyio.sleep(0.3)
        heard = {}
        for method, params, is_request in wire.heard:
            heard.setdefault(f"{method} (request)" if is_request else method, []).append(params)
    return {"initialize": initialize, "steps": steps, "heard": dict(sorted(heard.items()))}


# ------------------------------------------------------------------ scenarios and their servers
def places(folder, target):
    """What ${…} in a scenario stands for."""
    windows = sys.platform == "win32"
    venv = PEERS / ("py2" if IS_2 else "py1")
    return {
        "dir": str(folder),
        "target": str(target),
        "here": str(HERE),
        "npm": str(PEERS / "node_modules"),
        "node": str(PEERS / "node_modules" / "node" / "bin" / ("node.exe" if windows else "node")),
        "python": str(venv / ("Scripts/python.exe" if windows else "bin/python")),
    }


def fill(value, names):
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: names[found[1]], value)
    if isinstance(value, list):
        return [fill(item, names) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, names) for key, item in value.items()}
    return value


def load(server, folder, target):
    text = (HERE / "scenarios" / f"{server}.json").read_text(encoding="utf-8")
    return fill(json.loads(text), places(folder, target))


def prepare(folder, scenario):
    """Give the folder its first contents: both ways start from the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in folder.iterdir():
        shutil.rmtree(item) if item.is_dir() else item.unlink()
    for name, text in scenario.get("files", {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")


def normalised(record, scenario, folder, spaced):
    """The transcript as lines, without what differs from run to run."""
    text = json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True)
    text = text.replace(json.dumps(str(folder))[1:-1], "<dir>")
    for pattern, replacement in scenario.get("volatile", []):
        text = re.sub(pattern, replacement.replace("$1", r"\1"), text)
    if spaced:
        # The fixture tells what the client sent, letter by letter, and over WebSocket this SDK's client
        # writes its JSON with spaces where over stdio it writes none.
        text = re.sub(r'(\\"|[\]}\d])([:,]) (?=\\"|[\[{\dntf-])', r"\1\2", text)
    # The ids of cancelled requests, inside the text of a tool's answer: they are the sender's own.
    return re.sub(r'\{\\"id\\":[^,]*,\\"tool\\"', r'{\\"id\\":<id>,\\"tool\\"', text)


def compare(server, options, folder):
    scenario = load(server, folder, options.target)
    direct = {"stdio": scenario["command"], "env": scenario.get("env")}
    texts = {}
    spaced = any("ws" in (way or {}) for way in (options.a, options.b))
    for name, way in (("a", options.a or direct), ("b", options.b or direct)):
        prepare(folder, scenario)
        with tempfile.TemporaryFile("w+") as errors:
            try:
                record = anyio.run(transcript, way, scenario, options.bare, errors)
            except BaseException:
                errors.seek(0)
                sys.stderr.write(f"{server}, way {name}: failed; its stderr ends with:\n{errors.read()[-2000:]}\n")
                raise
        texts[name] = normalised(record, scenario, folder, spaced)
        if any(step.get("never_came") for step in record["steps"]):
            late = [step["step"] for step in record["steps"] if step.get("never_came")]
            print(f"{server}, way {name}: an expected notification never came: {json.dumps(late)}")
    if options.out:
        Path(options.out).write_text(texts["b"] + "\n", encoding="utf-8")
    if texts["a"] == texts["b"]:
        return len(scenario["steps"])
    # Not splitlines(), which also splits at letters that are no newlines.
    a, b = texts["a"].split("\n"), texts["b"].split("\n")
    for line in difflib.unified_diff(a, b, "a", "b", lineterm="", n=4):
        print(line if len(line) < 400 else f"{line[:400]}… ({len(line)} characters)")
    return None


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--server", required=True, choices=[*SERVERS, "all"])
    parser.add_argument("--a", type=json.loads)
    parser.add_argument("--b", type=json.loads)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--target", type=Path, default=ROOT / "target" / "debug")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--out")
    parser.add_argument("--print-server", action="store_true")
    options = parser.parse_args()
    folder = options.dir or Path(tempfile.mkdtemp(prefix="peers-"))
    # The SDK warns about what later versions drop; that is no news here.
    warnings.simplefilter("ignore")
    if options.print_server:
        scenario = load(options.server, folder, options.target)
        command, *arguments = scenario["command"]
        print(json.dumps({"command": command, "args": arguments, "env": scenario.get("env", {})}))
        return
    if options.server == "all" and (options.a or options.b):
        parser.error("--server all compares direct ways only")
    different = 0
    try:
        for number in range(1, options.repeat + 1):
            for server in SERVERS if options.server == "all" else [options.server]:
                start = time.monotonic()
                steps = compare(server, options, folder)
                different += steps is None
                verdict = "DIFFERENT" if steps is None else f"equal, {steps} steps"
                print(f"{server} {number}/{options.repeat}: {verdict}, {time.monotonic() - start:.1f} s", flush=True)
    finally:
        if not options.dir:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
