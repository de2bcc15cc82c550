// Compare what an application sees of a server in one era through exai with what it sees directly, with the official
// TypeScript SDK 2.x.
//
//   echo '[{"server": "suite", "mode": "auto", "ways": {"direct": {"stdio": […]}, "shim": {"stdio": […]}}}]' |
//   .peers/node_modules/node/bin/node tests/peers/eras.mjs
//
// The twin of eras.py: the same cells, scenarios and rules, described there. A mode that is a revision pins it.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const SCENARIOS = JSON.parse(fs.readFileSync(path.join(HERE, 'scenarios', 'eras.json'), 'utf8'));
const LIMIT = 30_000; // the longest a single answer may take
const LEFT_OUT = ['ttlMs', 'cacheScope'];

const require = createRequire(path.join(HERE, '..', '..', '.peers', 'package.json'));
const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
const { getDefaultEnvironment, StdioClientTransport } = require('@modelcontextprotocol/client/stdio');

const sleep = ms => new Promise(done => setTimeout(done, ms));

/** A value without what differs on purpose, its members in order. */
function seen(value) {
    if (Array.isArray(value)) return value.map(seen);
    if (!value || typeof value !== 'object') return value;
    const members = Object.entries(value)
        .filter(([key, item]) => !LEFT_OUT.includes(key) && item !== undefined)
        .map(([key, item]) => [key, seen(item)])
        .filter(([key, item]) => key !== '_meta' || Object.keys(item).length > 0);
    return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function transportOf(way) {
    if (way.http) {
        const headers = { Authorization: `Bearer ${way.token}` };
        return new StreamableHTTPClientTransport(new URL(way.http), { requestInit: { headers } });
    }
    const [command, ...args] = way.stdio;
    const env = { ...getDefaultEnvironment(), ...way.env };
    return new StdioClientTransport({ command, args, env, stderr: 'ignore' });
}

/** An application that takes the steps of a scenario. */
class App {
    whenChanged = () => {};
    progress = [];

    constructor(client) {
        this.client = client;
        client.setNotificationHandler('notifications/tools/list_changed', () => this.whenChanged());
    }

    /** Notes progress as it comes: the SDK drops what comes in one piece with the answer behind it. */
    tap(transport) {
        const inner = transport.onmessage;
        transport.onmessage = (message, extra) => {
            if (message.method === 'notifications/progress') {
                const { progress, total, message: text } = message.params;
                this.progress.push([progress, total, text]);
            }
            inner(message, extra);
        };
    }

    async step(step) {
        this.progress = [];
        let result;
        try {
            result = await this.take(step);
        } catch (error) {
            // An error of the server has a number as its code, and the SDK's own judgement a word.
            const isAnswer = typeof error.code === 'number';
            result = isAnswer ? { error: { code: error.code, message: error.message, data: error.data } } : { refused: error.code ?? error.name };
        }
        return { step, seen: seen(result), progress: this.progress };
    }

    async take(step) {
        const { client } = this;
        const options = { timeout: LIMIT };
        if (step.list) {
            const lists = {
                tools: () => client.listTools({}, options),
                prompts: () => client.listPrompts({}, options),
                resources: () => client.listResources({}, options),
                templates: () => client.listResourceTemplates({}, options),
            };
            return lists[step.list]();
        }
        if (step.read) return client.readResource({ uri: step.read }, options);
        if (step.prompt) return client.getPrompt({ name: step.prompt, arguments: step.arguments }, options);
        if (step.change) return this.change(step.change, options);
        if (step.progress) options.onprogress = () => {};
        return client.callTool({ name: step.call, arguments: step.arguments ?? {} }, options);
    }

    /** Calls a tool that changes the list of tools, and hears of it. */
    async change(tool, options) {
        const isModern = this.client.getNegotiatedProtocolVersion() >= '2026';
        const listen = isModern ? await this.client.listen({ toolsListChanged: true }, options) : undefined;
        const changed = new Promise(done => (this.whenChanged = done));
        await this.client.callTool({ name: tool, arguments: {} }, options);
        await Promise.race([changed, sleep(LIMIT).then(() => Promise.reject(new Error('no change was heard')))]);
        await listen?.close();
        return 'changed';
    }
}

async function look(way, mode, scenario) {
    const options = {
        capabilities: { sampling: {}, elicitation: {}, roots: {} },
        versionNegotiation: { mode: ['legacy', 'auto'].includes(mode) ? mode : { pin: mode } },
    };
    const client = new Client({ name: 'peer', version: '1' }, options);
    client.setRequestHandler('sampling/createMessage', () => ({
        role: 'assistant',
        content: { type: 'text', text: 'sampled' },
        model: 'fixed',
        stopReason: 'endTurn',
    }));
    client.setRequestHandler('elicitation/create', () => scenario.elicit);
    client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///peers/root', name: 'root' }] }));
    const app = new App(client);
    const transport = transportOf(way);
    await client.connect(transport, { timeout: LIMIT });
    app.tap(transport);
    try {
        const opening = {
            version: client.getNegotiatedProtocolVersion(),
            server: client.getServerVersion(),
            capabilities: client.getServerCapabilities(),
            instructions: client.getInstructions(),
        };
        // A list may be known before its server runs, and no call can be answered without it.
        await app.step({ call: 'there-is-no-such-tool' });
        await sleep(scenario.settle_ms ?? 0);
        const record = [seen(opening)];
        for (const step of scenario.steps) record.push(await app.step(step));
        return record;
    } finally {
        await transport.terminateSession?.().catch(() => {});
        await client.close();
    }
}

/** Prints where two texts differ, with the help of git, which every developer of this project has. */
function printDifference(a, b) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'peers-diff-'));
    fs.writeFileSync(path.join(folder, 'expected'), `${a}\n`);
    fs.writeFileSync(path.join(folder, 'seen'), `${b}\n`);
    try {
        execFileSync('git', ['diff', '--no-index', '--no-color', '-U4', 'expected', 'seen'], { cwd: folder });
    } catch (error) {
        console.log(error.stdout.toString());
    }
    fs.rmSync(folder, { recursive: true });
}

/** Compares the ways of a cell; returns how many differ. */
async function compare({ server, mode, ways }) {
    let expected;
    let different = 0;
    for (const [name, way] of Object.entries(ways)) {
        const begun = Date.now();
        const record = await look(way, mode, SCENARIOS[server]);
        const text = JSON.stringify(record, null, 1);
        const isFirst = expected === undefined;
        expected ??= text;
        const verdict = isFirst ? record[0].version : text === expected ? 'equal' : 'DIFFERENT';
        console.log(`${server} in mode ${mode} over ${name}: ${verdict}, ${((Date.now() - begun) / 1000).toFixed(1)} s`);
        if (text !== expected) {
            different += 1;
            printDifference(expected, text);
        }
    }
    return different;
}

async function main() {
    const cells = JSON.parse(fs.readFileSync(0, 'utf8'));
    const ofServer = async server => {
        let different = 0;
        for (const cell of cells.filter(cell => cell.server === server)) different += await compare(cell);
        return different;
    };
    const servers = [...new Set(cells.map(cell => cell.server))];
    const all = await Promise.all(servers.map(ofServer));
    return all.some(different => different > 0) ? 1 : 0;
}

process.exit(await main());
