// Keep calling tools over HTTP with the official TypeScript SDK, while somebody restarts the daemon behind it.
//
//   .peers/node_modules/node/bin/node tests/peers/anew.mjs '{"http": "http://127.0.0.1:8079/mcp/fix", "token": "…"}'
//
// The twin of anew.py, which says what this does and prints.

import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const require = createRequire(path.join(ROOT, '.peers', 'package.json'));
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');

const LAST = 20;
const way = JSON.parse(process.argv[2]);
const report = { calls: 0, lists: 0, sessions: 0, failures: {}, longest_ms: 0, last: 0, wrong: [] };
let succeeded = performance.now();
let over = false;
let known;

function fail(what, error) {
    const words = `${what}: ${error.name} ${error.cause?.code ?? error.code ?? ''}`.trim();
    report.failures[words] = (report.failures[words] ?? 0) + 1;
}

function success(what) {
    const now = performance.now();
    report[what] += 1;
    report.longest_ms = Math.max(report.longest_ms, Math.round(now - succeeded));
    succeeded = now;
}

async function connected() {
    const client = new Client({ name: 'peer', version: '1' }, { capabilities: {} });
    client.onerror = () => {};
    const requestInit = { headers: { Authorization: `Bearer ${way.token}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(way.http), { requestInit }));
    return client;
}

async function call(client) {
    const text = `call ${report.calls}`;
    const result = await client.callTool({ name: 'delay', arguments: { message: text, ms: 10 } }, undefined, { timeout: 5000 });
    const told = result.content.map(content => content.text);
    if (told.length !== 1 || told[0] !== text) report.wrong.push(`${text}: ${told}`);
    success('calls');
}

async function list(client) {
    const names = (await client.listTools(undefined, { timeout: 5000 })).tools.map(tool => tool.name).join();
    known ??= names;
    if (names !== known) report.wrong.push(`another list: ${names}`);
    success('lists');
}

async function attempt(what, step, client) {
    try {
        await step(client);
        return true;
    } catch (error) {
        fail(what, error);
        return false;
    }
}

async function sessions() {
    while (!over) {
        let client;
        try {
            client = await connected();
        } catch (error) {
            if (report.sessions === 0) throw error; // No restart has anything to do with it.
            fail('session', error);
            await sleep(50);
            continue;
        }
        report.sessions += 1;
        if (report.sessions === 1) {
            await list(client);
            console.log('begun');
        }
        let useful = true;
        const loop = async (what, step) => {
            while (!over && useful && (await attempt(what, step, client))) await sleep(5);
            useful = false;
        };
        await Promise.all([loop('call', call), loop('list', list)]);
        await client.close();
    }
}

const working = sessions();
await once(process.stdin, 'data');
process.stdin.destroy();
over = true;
await working;
const client = await connected();
for (let number = 0; number < LAST; number += 1) report.last += Number(await attempt('last', call, client));
await client.close();
console.log(JSON.stringify(report));
