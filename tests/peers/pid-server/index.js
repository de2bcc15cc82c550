#!/usr/bin/env node
// An MCP server over stdio that tells its own process id. Needs nothing but Node.
const answers = {
  initialize: () => ({
    protocolVersion: "2025-06-18",
    capabilities: { tools: {} },
    serverInfo: { name: "pid-server", version: "1.0.0" },
  }),
  "tools/list": () => ({ tools: [{ name: "pid", inputSchema: { type: "object" } }] }),
  "tools/call": () => ({ content: [{ type: "text", text: String(process.pid) }] }),
};

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method } = JSON.parse(line);
  if (id === undefined) return;
  const result = (answers[method] ?? (() => ({})))();
  process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result }) + "\n");
});
