#!/usr/bin/env node
// An MCP server that tells its own process id, over stdio, or over HTTP at EXAI_SELFTEST_PORT. Needs nothing but Node.
const answers = {
  initialize: () => ({
    protocolVersion: "2025-06-18",
    capabilities: { tools: {} },
    serverInfo: { name: "pid-server", version: "1.0.0" },
  }),
  "tools/list": () => ({ tools: [{ name: "pid", inputSchema: { type: "object" } }] }),
  "tools/call": () => ({ content: [{ type: "text", text: String(process.pid) }] }),
};

function reply(line) {
  const { id, method } = JSON.parse(line);
  if (id === undefined) return "";
  return JSON.stringify({ jsonrpc: "2.0", id, result: (answers[method] ?? (() => ({})))() });
}

const port = process.env.EXAI_SELFTEST_PORT;
if (port) {
  const serve = async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const text = request.method === "POST" ? reply(body) : "";
    response.writeHead(text ? 200 : request.method === "POST" ? 202 : 405, { "Content-Type": "application/json" });
    response.end(text);
  };
  require("http").createServer(serve).listen(Number(port), "127.0.0.1");
} else {
  require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const text = reply(line);
    if (text) process.stdout.write(text + "\n");
  });
}
