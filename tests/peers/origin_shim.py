"""An independent client of the origin's wire: plays the shim of the project that exai comes from.

    python origin_shim.py PORT TOKEN

Written from a description of that protocol alone, with the standard library alone. The daemon hosts a fixture server as
`ai`, whose tools keep their own names, and another one as `fix`. The script ends with 0 and prints what it has checked,
or ends with a traceback.
"""

import asyncio
import base64
import json
import os
import struct
import sys
import time
import uuid

LIMIT = 30
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Closed(Exception):
    """The daemon has closed the connection with this code."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Socket:
    """A WebSocket client without subprotocol, extensions and token, as `websockets.connect(uri)` makes one."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            "User-Agent: Python/3.11 websockets/12.0\r\n\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 101"), head
        assert "sec-websocket-protocol" not in head and "sec-websocket-extensions" not in head, head
        return cls(reader, writer)

    def write(self, opcode, payload):
        length = len(payload)
        if length < 126:
            header = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            header = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            header = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
        mask = os.urandom(4)
        # A long payload is masked as one number, since a loop over its bytes takes seconds.
        whole = mask * (length // 4) + mask[: length % 4]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")
        self.writer.write(header + mask + masked)

    def send(self, message):
        self.write(TEXT, message.encode() if isinstance(message, str) else json.dumps(message).encode())

    async def frame(self):
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)

    async def receive(self):
        """The next message, as JSON. Pings are answered on the way."""
        while True:
            opcode, payload = await asyncio.wait_for(self.frame(), LIMIT)
            if opcode == PING:
                self.write(PONG, payload)
            elif opcode == CLOSE:
                raise Closed(struct.unpack("!H", payload[:2])[0])
            elif opcode == TEXT:
                return json.loads(payload)
            else:
                assert opcode == PONG, opcode

    async def ping(self):
        self.write(PING, b"are you there")
        assert await asyncio.wait_for(self.frame(), LIMIT) == (PONG, b"are you there")

    async def closed(self):
        try:
            message = await self.receive()
        except Closed as closed:
            return closed.code
        raise AssertionError(f"not closed: {message}")


class Shim:
    """A connection after hello. Several calls may be under way: one task reads all frames."""

    def __init__(self, socket):
        self.socket = socket
        self.calls = {}
        self.others = asyncio.Queue()
        self.reading = asyncio.create_task(self.read())

    @classmethod
    async def connect(cls, port, token):
        socket = await Socket.connect(port)
        session = str(uuid.uuid4())
        socket.send({"op": "hello", "session_id": session, "token": token})
        ack = await socket.receive()
        assert ack["op"] == "hello_ack" and ack["ok"] is True, ack
        assert ack["session_id"] and ack["session_id"] != session, ack
        await socket.ping()
        return cls(socket)

    async def read(self):
        while True:
            message = await self.socket.receive()
            call = self.calls.get(message.get("request_id"))
            await (self.others if call is None else call).put(message)

    async def ask(self, op, answer):
        self.socket.send(op)
        message = await asyncio.wait_for(self.others.get(), LIMIT)
        assert message["op"] == answer, message
        return message

    async def call(self, name, arguments, request_id=None):
        """Calls a tool. Returns all frames of the call; the last one is the result."""
        request_id = request_id or str(uuid.uuid4())
        frames = self.calls[request_id] = asyncio.Queue()
        self.socket.send(
            {"op": "call_tool", "request_id": request_id, "name": name, "arguments": arguments}
        )
        seen = []
        while not seen or seen[-1]["op"] != "call_tool_res":
            seen.append(await asyncio.wait_for(frames.get(), LIMIT))
        del self.calls[request_id]
        return seen

    def close(self):
        self.reading.cancel()
        self.socket.writer.close()


def check_frames(frames, name):
    """The frames of a call that was carried out: first progress, one ack, more progress, the result."""
    first, *middle, last = frames
    assert first["op"] == "progress" and first["note"].startswith("accepted, awaiting"), first
    acks = [frame for frame in middle if frame["op"] == "call_tool_ack"]
    assert len(acks) == 1, frames
    assert acks[0]["accepted"] is True and acks[0]["timeout"] > 0 and acks[0]["name"] == name, acks
    for frame in frames[:-1]:
        if frame["op"] == "progress":
            assert frame["name"] == name and abs(frame["t"] - time.time()) < 60, frame
    assert all(output["type"] == "text" for output in last["outputs"]), last
    assert last["text"] == "\n\n".join(output["text"] for output in last["outputs"] if output["text"]), last
    return last


async def lists(shim):
    tools = (await shim.ask({"op": "list_tools"}, "list_tools_res"))["tools"]
    names = [tool["name"] for tool in tools]
    assert len(names) == len(set(names)), names
    for tool in tools:
        assert isinstance(tool["description"], str) and tool["inputSchema"]["type"] == "object", tool
    return names


async def tools(shim):
    # A daemon that has just started may not know all tools yet.
    names = []
    for _ in range(100):
        names = await lists(shim)
        if "echo" in names and "fix__echo" in names:
            break
        await asyncio.sleep(0.05)
    assert "echo" in names and "fix__echo" in names, names
    for name in ["echo", "echo_EXAI-WS", "echo-EXAI-WS", "echo_EXAI_WS", "echo-EXAI_WS", "fix__echo"]:
        frames = await shim.call(name, {"message": "gr\u00fc\u00df dich \U0001F600"})
        base = "fix__echo" if name.startswith("fix") else "echo"
        assert check_frames(frames, base)["text"] == "gr\u00fc\u00df dich \U0001F600", frames
    return f"{len(names)} tools"


async def several(shim):
    async def one(number):
        # The later ones are answered first.
        arguments = {"message": f"call {number}", "ms": 20 * (20 - number)}
        frames = await shim.call("fix__delay", arguments)
        assert check_frames(frames, "fix__delay")["text"] == f"call {number}"

    slow = asyncio.create_task(shim.call("fix__delay", {"message": "slow", "ms": 9000}, "slow"))
    await asyncio.gather(*(one(number) for number in range(20)))
    health = await shim.ask({"op": "health"}, "health_res")
    assert health["ok"] is True and health["health"]["sessions"] >= 1, health
    assert health["health"]["tool_count"] == len(await lists(shim)), health
    assert {"t", "uptime_human", "global_capacity"} <= health["health"].keys(), health
    assert not slow.done(), "health waits for a slow call"
    return slow


async def failures(shim):
    for name, arguments, code in [
        ("nothing", {}, "TOOL_NOT_FOUND"),
        ("fix__fail", {"message": "no such file"}, "EXEC_ERROR"),
    ]:
        last = (await shim.call(name, arguments))[-1]
        assert last["error"]["code"] == code and last["error"]["message"], last
    # A call without an id.
    shim.socket.send({"op": "call_tool", "name": "fix__echo", "arguments": {"message": "nameless"}})
    while (message := await asyncio.wait_for(shim.others.get(), LIMIT))["op"] != "call_tool_res":
        assert message["op"] in ("progress", "call_tool_ack"), message
    assert message.get("request_id") is None and message["text"] == "nameless", message
    for bad, expected in [("no json", "invalid_json"), ("[]", "invalid_message"), ('{"op":"x"}', "Unknown op")]:
        message = await shim.ask(bad, "error")
        assert message["message"].startswith(expected), message
    for order, expected in [({}, "missing_params"), ({"old": "a", "new": "b"}, "unauthorized")]:
        message = await shim.ask({"op": "rotate_token", **order}, "rotate_token_res")
        assert message["ok"] is False and message["error"] == expected, message


async def strangers(port, token):
    for first, error, code in [
        ({"op": "hello", "token": "wrong"}, "unauthorized", 4003),
        ({"op": "hello"}, "unauthorized", 4003),
        ({"op": "list_tools", "token": token}, "missing_hello", 4001),
        ("hello", "invalid_hello", 4000),
    ]:
        socket = await Socket.connect(port)
        socket.send(first)
        ack = await socket.receive()
        assert ack == {"op": "hello_ack", "ok": False, "error": error}, ack
        assert await socket.closed() == code, first


async def silence(port):
    """A client that says nothing is closed after 15 s."""
    begun = time.monotonic()
    socket = await Socket.connect(port)
    code = await socket.closed()
    took = time.monotonic() - begun
    assert code == 4002 and 14 < took < 25, (code, took)


async def main(port, token):
    silent = asyncio.create_task(silence(port))
    await strangers(port, token)
    shim, other = await Shim.connect(port, token), await Shim.connect(port, token)
    listed = await tools(shim)
    slow = await several(shim)
    await failures(other)
    long = "x" * 2_000_000
    last = (await other.call("echo", {"message": long}))[-1]
    assert last["text"] == long
    frames = await slow
    assert check_frames(frames, "fix__delay")["text"] == "slow"
    silences = [frame for frame in frames if frame["op"] == "progress" and "note" not in frame]
    assert silences, frames
    await silent
    shim.close()
    other.close()
    print(f"{listed}, 20 calls beside a slow one, health, failures, strangers, silence: as the origin")


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
