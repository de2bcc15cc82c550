"""An MCP server that tells its own process id: over stdio, or over HTTP at EXAI_SELFTEST_PORT. Needs nothing but Python.

`exai selftest` runs it where Python is the launcher; the tools are those of `exai selftest-server`.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def reply(line):
    """The answer to a message, or nothing."""
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        return ""
    params = message.get("params") or {}
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        answer["result"] = {
            "protocolVersion": params.get("protocolVersion"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "pid-server", "version": "1.0.0"},
        }
    elif message["method"] == "ping":
        answer["result"] = {}
    elif message["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "pid", "inputSchema": {"type": "object"}}]}
    elif message["method"] == "tools/call" and params.get("name") == "pid":
        answer["result"] = {"content": [{"type": "text", "text": str(os.getpid())}]}
    else:
        answer["error"] = {"code": -32601, "message": "method not found"}
    return json.dumps(answer)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        text = reply(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200 if text else 202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def main():
    port = os.environ.get("EXAI_SELFTEST_PORT")
    if port:
        ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
    for line in sys.stdin:
        text = reply(line)
        if text:
            print(text, flush=True)


if __name__ == "__main__":
    main()
