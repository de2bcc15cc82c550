// Keep calling tools in one session of the official TypeScript SDK, while somebody kills what is behind it.
//
//   .peers/node_modules/node/bin/node tests/peers/survive.mjs '{"stdio": ["exai", "shim", "--server", "fixture"]}'
//
// The twin of survive.py, which says what this does and prints.

import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const require = createRequire(path.join(ROOT, '.peers', 'package.json'));
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { getDefaultEnvironment, StdioClientTransport } = require('@modelcontextprotocol/sdk/client/stdio.js');
const { McpError } = require('@modelcontextprotocol/sdk/types.js');

const LOOPS = 4;
const LAST = 20;
const TOOLS = ['append', 'delay', 'look'];

const way = JSON.parse(process.argv[2]);
const [command, ...args] = way.stdio;
const env = { ...getDefaultEnvironment(), ...way.env };
const client = new Client({ name: 'peer', version: '1' }, { capabilities: {} });
await client.connect(new StdioClientTransport({ command, args, env, stderr: 'ignore' }));

const report = { calls: 0, ok: 0, errors: {}, longest_ms: 0, last: 0, wrong: [] };
client.onclose = () => report.wrong.push('the transport was closed');

async function one(label) {
    const tool = TOOLS[report.calls % TOOLS.length];
    report.calls += 1;
    const text = `${tool} ${label} ${report.calls}`;
    const begun = performance.now();
    try {
        const result = await client.callTool({ name: tool, arguments: { message: text, ms: 30 } });
        const told = result.content.map(content => content.text);
        if (told.length === 1 && told[0] === text) {
            report.ok += 1;
            return true;
        }
        report.wrong.push(`${text}: answered with ${told}`);
    } catch (error) {
        if (error instanceof McpError) report.errors[error.code] = (report.errors[error.code] ?? 0) + 1;
        else report.wrong.push(`${text}: ${error.name}: ${error.message}`);
    } finally {
        report.longest_ms = Math.max(report.longest_ms, Math.round(performance.now() - begun));
    }
    return false;
}

// What a tool declares is known to exai once it was listed.
await client.listTools();
let over = false;
const loops = Array.from({ length: LOOPS }, async (_, number) => {
    while (!over) await one(`loop ${number}`);
});
console.log('begun');
await once(process.stdin, 'data');
process.stdin.destroy();
over = true;
await Promise.all(loops);
for (let number = 0; number < LAST; number += 1) report.last += Number(await one('last'));
client.onclose = undefined;
await client.close();
console.log(JSON.stringify(report));
