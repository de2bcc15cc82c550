# What `exai selftest` runs where Python is the launcher: the tools of `exai selftest-server`.
import json, os, sys

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    params = message.get("params") or {}
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        answer["result"] = {
            "protocolVersion": params.get("protocolVersion"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "exai-selftest", "version": "1"},
        }
    elif message["method"] == "ping":
        answer["result"] = {}
    elif message["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "pid", "inputSchema": {"type": "object"}}]}
    elif message["method"] == "tools/call" and params.get("name") == "pid":
        answer["result"] = {"content": [{"type": "text", "text": str(os.getpid())}]}
    else:
        answer["error"] = {"code": -32601, "message": "method not found"}
    print(json.dumps(answer), flush=True)
