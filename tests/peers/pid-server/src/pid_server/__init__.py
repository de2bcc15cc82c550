"""An MCP server that tells its own process id, over stdio, or over HTTP at PID_SERVER_PORT. Needs nothing but Python."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def answer(method):
    if method == "initialize":
        server = {"name": "pid-server", "version": "1.0.0"}
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
    if method == "tools/list":
        return {"tools": [{"name": "pid", "inputSchema": {"type": "object"}}]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": str(os.getpid())}]}
    return {}


def reply(line):
    message = json.loads(line)
    if "id" in message:
        return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer(message["method"])})
    return None


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        text = reply(self.rfile.read(int(self.headers["Content-Length"]))) or ""
        self.send_response(200 if text else 202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def main():
    port = os.environ.get("PID_SERVER_PORT")
    if port:
        ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
    for line in sys.stdin:
        text = reply(line)
        if text:
            print(text, flush=True)


if __name__ == "__main__":
    main()
