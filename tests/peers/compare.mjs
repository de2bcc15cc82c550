// Compare what an MCP client sees on two ways to the same server, with the official TypeScript SDK 1.x.
//
//   .peers/node_modules/node/bin/node tests/peers/compare.mjs --server fixture --b '{"stdio": ["exai", "shim", "--server", "fixture"]}'
//   .peers/node_modules/node/bin/node tests/peers/compare.mjs --server memory --b '{"ws": "ws://127.0.0.1:8079/mcp/memory", "token": "…"}'
//   .peers/node_modules/node/bin/node tests/peers/compare.mjs --server everything --b '{"http": "http://127.0.0.1:8079/mcp/everything", "token": "…"}'
//   .peers/node_modules/node/bin/node tests/peers/compare.mjs --server all --repeat 5
//
// The twin of compare.py: the same scenarios, options, ways and rules, described there (--help of either
// prints this text). For WebSocket, Node's own client is replaced by the package ws, which sends the
// user and password of a URL; the SDK offers no other way to pass a token.

import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.dirname(path.dirname(HERE));
const PEERS = path.join(ROOT, '.peers');
const SERVERS = ['fixture', 'everything', 'filesystem', 'memory', 'python'];
const LIMIT = 30_000; // the longest a single answer may take
const AWAITED = 15_000; // the longest an expected notification may take

const require = createRequire(path.join(PEERS, 'package.json'));
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { getDefaultEnvironment, StdioClientTransport } = require('@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { WebSocketClientTransport } = require('@modelcontextprotocol/sdk/client/websocket.js');
const types = require('@modelcontextprotocol/sdk/types.js');
globalThis.WebSocket = require('ws').WebSocket;

const sleep = ms => new Promise(done => setTimeout(done, ms));

// ------------------------------------------------------------------ what goes over the wire

/** A transport that records each received message and lets requests past the SDK. */
class Wire {
    heard = []; // {method, params, isRequest}, in order of arrival
    answers = new Map(); // id -> outcomes
    rawIds = new Set();
    watchers = new Set();
    cancellation = Promise.resolve(); // the one that was sent last

    constructor(inner) {
        this.inner = inner;
        inner.onmessage = (message, extra) => this.take(message, extra);
        inner.onclose = () => this.onclose?.();
        inner.onerror = error => {
            this.heard.push({ method: 'not a message', params: { type: error.name }, isRequest: false });
            this.onerror?.(error);
        };
    }
    start() {
        return this.inner.start();
    }
    send(message, options) {
        const sent = this.inner.send(message, options);
        if (message.method === 'notifications/cancelled') this.cancellation = sent;
        return sent;
    }
    close() {
        return this.inner.close();
    }
    get sessionId() {
        return this.inner.sessionId;
    }
    setProtocolVersion(version) {
        this.inner.setProtocolVersion?.(version);
    }

    take(message, extra) {
        if ('method' in message) {
            this.heard.push({ method: message.method, params: message.params ?? null, isRequest: 'id' in message });
        } else {
            const { result, error } = message;
            const outcome = error === undefined ? { result } : { error };
            // The SDK works on the object it is given: keep the text as it is now.
            this.answers.set(message.id, [...(this.answers.get(message.id) ?? []), structuredClone(outcome)]);
        }
        for (const watcher of [...this.watchers]) watcher();
        if (!this.rawIds.has(message.id) || 'method' in message) this.onmessage?.(message, extra);
    }

    /** Waits until `condition` holds; false when it does not in time. */
    async until(condition, limit = LIMIT) {
        if (condition()) return true;
        return new Promise(done => {
            const finish = value => {
                clearTimeout(timer);
                this.watchers.delete(watcher);
                done(value);
            };
            const watcher = () => condition() && finish(true);
            const timer = setTimeout(() => finish(false), limit);
            this.watchers.add(watcher);
        });
    }
    count(method) {
        return this.heard.filter(heard => heard.method === method).length;
    }
}

function transportOf(way, errors) {
    if (way.stdio) {
        const [command, ...args] = way.stdio;
        const env = { ...getDefaultEnvironment(), ...way.env };
        const transport = new StdioClientTransport({ command, args, env, cwd: way.cwd ?? undefined, stderr: 'pipe' });
        transport.stderr?.on('data', data => errors.push(data));
        return transport;
    }
    if (way.http) {
        const headers = way.token ? { Authorization: `Bearer ${way.token}` } : {};
        return new StreamableHTTPClientTransport(new URL(way.http), { requestInit: { headers } });
    }
    const url = new URL(way.ws);
    if (way.token) [url.username, url.password] = ['exai', way.token];
    return new WebSocketClientTransport(url);
}

async function connected(wire, scenario, bare) {
    const capabilities = bare ? {} : { sampling: {}, elicitation: {}, roots: { listChanged: true } };
    const client = new Client({ name: 'peer', version: '1' }, { capabilities });
    if (!bare) {
        client.setRequestHandler(types.CreateMessageRequestSchema, () => ({
            role: 'assistant',
            content: { type: 'text', text: 'sampled' },
            model: 'fixed',
            stopReason: 'endTurn',
        }));
        client.setRequestHandler(types.ElicitRequestSchema, () => scenario.elicit ?? { action: 'decline' });
        client.setRequestHandler(types.ListRootsRequestSchema, () => ({
            roots: [{ uri: 'file:///peers/root', name: 'root' }],
        }));
    }
    await client.connect(wire, { timeout: LIMIT });
    return client;
}

// ------------------------------------------------------------------ the steps of a scenario

class Run {
    listed = [];
    raws = 0;

    constructor(client, wire) {
        [this.client, this.wire] = [client, wire];
    }

    /** Calls a method of the SDK; returns the answer as it came, and whether the SDK refused it. */
    async sdk(call) {
        const before = new Map([...this.wire.answers].map(([id, outcomes]) => [id, outcomes.length]));
        const refused = {};
        await call().catch(error => {
            // An error answer is on the wire; everything else is the SDK's own judgement.
            const isAnswer = [...this.wire.answers].some(([id, list]) => list.slice(before.get(id) ?? 0).some(one => one.error));
            if (!isAnswer) refused.sdk_refused = error.name;
        });
        const answers = [...this.wire.answers].flatMap(([id, list]) => list.slice(before.get(id) ?? 0));
        return { answers, ...refused };
    }

    async rawStart(method, params) {
        const id = `raw-${++this.raws}`;
        this.wire.rawIds.add(id);
        await this.wire.send({ jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) });
        return id;
    }

    async raw(method, params) {
        const id = await this.rawStart(method, params);
        await this.wire.until(() => this.wire.answers.has(id));
        return { answers: this.wire.answers.get(id) ?? 'none' };
    }

    async step(step) {
        const { client } = this;
        const options = { timeout: LIMIT };
        switch (step.do) {
            case 'ping':
                return this.sdk(() => client.ping(options));
            case 'list':
                return this.list(step.what);
            case 'call':
                return this.call(step);
            case 'read':
                return this.sdk(() => client.readResource({ uri: step.uri }, options));
            case 'read_all': {
                const all = [];
                for (const { uri } of this.listed) all.push(await this.step({ do: 'read', uri }));
                return all;
            }
            case 'subscribe':
                return this.sdk(() => client.subscribeResource({ uri: step.uri }, options));
            case 'unsubscribe':
                return this.sdk(() => client.unsubscribeResource({ uri: step.uri }, options));
            case 'prompt':
                return this.sdk(() => client.getPrompt({ name: step.name, arguments: step.arguments }, options));
            case 'complete':
                return this.sdk(() => client.complete({ ref: step.ref, argument: step.argument }, options));
            case 'level':
                return this.sdk(() => client.setLoggingLevel(step.level, options));
            case 'raw':
                return this.raw(step.method, step.params);
            case 'cancel':
                return this.cancel(step);
            case 'sdk_cancel':
                return this.sdkCancel(step);
            default:
                throw new Error(`unknown step ${step.do}`);
        }
    }

    async list(what) {
        const method = {
            tools: 'listTools',
            resources: 'listResources',
            templates: 'listResourceTemplates',
            prompts: 'listPrompts',
        }[what];
        const pages = [];
        let cursor;
        do {
            const page = await this.sdk(() => this.client[method](cursor ? { cursor } : undefined));
            pages.push(page);
            const result = page.answers[0]?.result ?? {};
            if (what === 'resources') this.listed = [...(cursor ? this.listed : []), ...(result.resources ?? [])];
            cursor = result.nextCursor;
        } while (cursor);
        return pages;
    }

    async call(step) {
        const before = this.wire.count('notifications/progress');
        const options = { timeout: LIMIT, ...(step.progress ? { onprogress: () => {} } : {}) };
        const answer = await this.sdk(() =>
            this.client.callTool({ name: step.tool, arguments: step.arguments }, undefined, options),
        );
        // Only what came before the answer counts: later progress is worth nothing to a client.
        return { ...answer, progress_before_answer: this.wire.count('notifications/progress') - before };
    }

    /** Gives up on a request in the way the protocol says, and sees that no answer comes late. */
    async cancel(step) {
        const id = await this.rawStart('tools/call', { name: step.tool, arguments: step.arguments });
        await sleep(step.after_ms);
        const params = { requestId: id, reason: 'the test says so' };
        await this.wire.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
        await sleep(step.quiet_ms);
        return { answers: this.wire.answers.get(id) ?? 'none, as it should be' };
    }

    /** Gives up in the way the SDK offers. */
    async sdkCancel(step) {
        const signal = AbortSignal.timeout(step.after_ms);
        await this.sdk(() => this.client.callTool({ name: step.tool, arguments: step.arguments }, undefined, { signal }));
        // Over HTTP the next request has another connection, and may overtake it.
        await this.wire.cancellation.catch(() => {});
        return { answers: 'not waited for' };
    }
}

async function transcript(way, scenario, bare, errors) {
    const wire = new Wire(transportOf(way, errors));
    const client = await connected(wire, scenario, bare);
    try {
        const run = new Run(client, wire);
        const initialize = [...wire.answers.values()];
        // A daemon may know what the server says before it runs. No call can be answered without it.
        await run.raw('tools/call', { name: 'there-is-no-such-tool', arguments: {} });
        await sleep(scenario.settle_ms ?? 100);
        if (scenario.reset) await run.raw('tools/call', { name: scenario.reset.tool, arguments: {} });
        wire.heard.length = 0;
        const steps = [];
        for (const step of scenario.steps) {
            const goals = Object.entries(step.expect ?? {}).map(([method, number]) => [method, wire.count(method) + number]);
            const answer = await run.step(step);
            const missing = [];
            for (const [method, goal] of goals) {
                if (!(await wire.until(() => wire.count(method) >= goal, AWAITED))) missing.push(method);
            }
            steps.push({ step, answer: step.volatile ? 'volatile' : answer, ...(missing.length ? { never_came: missing } : {}) });
        }
        // What is still on its way belongs to the transcript.
        await sleep(300);
        const heard = {};
        for (const { method, params, isRequest } of wire.heard) {
            (heard[isRequest ? `${method} (request)` : method] ??= []).push(params);
        }
        return { initialize, steps, heard };
    } finally {
        if (way.http) await wire.inner.terminateSession().catch(() => {});
        await client.close();
    }
}

// ------------------------------------------------------------------ scenarios and their servers

function load(server, folder, target) {
    const windows = process.platform === 'win32';
    const names = {
        dir: folder,
        target,
        here: HERE,
        npm: path.join(PEERS, 'node_modules'),
        node: path.join(PEERS, 'node_modules', 'node', 'bin', windows ? 'node.exe' : 'node'),
        python: path.join(PEERS, 'py1', windows ? 'Scripts/python.exe' : 'bin/python'),
    };
    const fill = value => {
        if (typeof value === 'string') return value.replace(/\$\{(\w+)\}/g, (_, name) => names[name]);
        if (Array.isArray(value)) return value.map(fill);
        if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, fill(v)]));
        return value;
    };
    return fill(JSON.parse(fs.readFileSync(path.join(HERE, 'scenarios', `${server}.json`), 'utf8')));
}

/** Gives the folder its first contents: both ways start from the same. */
function prepare(folder, scenario) {
    fs.mkdirSync(folder, { recursive: true });
    for (const name of fs.readdirSync(folder)) fs.rmSync(path.join(folder, name), { recursive: true });
    for (const [name, text] of Object.entries(scenario.files ?? {})) {
        fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
        fs.writeFileSync(path.join(folder, name), text);
    }
}

/** The transcript as lines, without what differs from run to run. */
function normalised(record, scenario, folder) {
    const sorted = (_, value) =>
        value && typeof value === 'object' && !Array.isArray(value)
            ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
            : value;
    let text = JSON.stringify(record, sorted, 1).replaceAll(JSON.stringify(folder).slice(1, -1), '<dir>');
    for (const [pattern, replacement] of scenario.volatile ?? []) {
        text = text.replace(new RegExp(pattern, 'g'), replacement);
    }
    // The ids of cancelled requests, inside the text of a tool's answer: they are the sender's own.
    return text.replace(/\{\\"id\\":[^,]*,\\"tool\\"/g, '{\\"id\\":<id>,\\"tool\\"');
}

/** Prints where two texts differ, with the help of git, which every developer of this project has. */
function printDifference(a, b) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'peers-diff-'));
    fs.writeFileSync(path.join(folder, 'a'), `${a}\n`);
    fs.writeFileSync(path.join(folder, 'b'), `${b}\n`);
    try {
        execFileSync('git', ['diff', '--no-index', '--no-color', '-U4', 'a', 'b'], { cwd: folder, maxBuffer: 1 << 28 });
    } catch (error) {
        const lines = error.stdout.toString().split('\n');
        for (const line of lines) console.log(line.length < 400 ? line : `${line.slice(0, 400)}… (${line.length} characters)`);
    }
    fs.rmSync(folder, { recursive: true });
}

async function compare(server, options, folder) {
    const scenario = load(server, folder, options.target);
    const direct = { stdio: scenario.command, env: scenario.env };
    const texts = {};
    for (const name of ['a', 'b']) {
        prepare(folder, scenario);
        const errors = [];
        try {
            const record = await transcript(options[name] ?? direct, scenario, options.bare, errors);
            texts[name] = normalised(record, scenario, folder);
            for (const { step, never_came } of record.steps.filter(step => step.never_came)) {
                console.log(`${server}, way ${name}: ${never_came} never came after ${JSON.stringify(step)}`);
            }
        } catch (error) {
            console.error(`${server}, way ${name}: failed; its stderr ends with:\n${Buffer.concat(errors).toString().slice(-2000)}`);
            throw error;
        }
    }
    if (options.out) fs.writeFileSync(options.out, `${texts.b}\n`);
    if (texts.a === texts.b) return scenario.steps.length;
    printDifference(texts.a, texts.b);
    return undefined;
}

async function main() {
    const text = { type: 'string' };
    const flag = { type: 'boolean' };
    const { values } = parseArgs({
        options: { server: text, a: text, b: text, dir: text, target: text, repeat: text, out: text, bare: flag, 'print-server': flag, help: flag },
    });
    if (values.help) {
        const source = fs.readFileSync(fileURLToPath(import.meta.url), 'utf8');
        console.log(source.split('\n\n')[0].replace(/^\/\/ ?/gm, ''));
        return 0;
    }
    assert([...SERVERS, 'all'].includes(values.server), `--server must be one of ${SERVERS.join(', ')}, all`);
    const folder = values.dir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'peers-'));
    const options = {
        a: values.a && JSON.parse(values.a),
        b: values.b && JSON.parse(values.b),
        target: path.resolve(values.target ?? path.join(ROOT, 'target', 'debug')),
        bare: values.bare ?? false,
        out: values.out,
    };
    assert(values.server !== 'all' || !(options.a || options.b), '--server all compares direct ways only');
    if (values['print-server']) {
        const { command, env } = load(values.server, folder, options.target);
        console.log(JSON.stringify({ command: command[0], args: command.slice(1), env: env ?? {} }));
        return 0;
    }
    const repeat = Number(values.repeat ?? 1);
    let different = 0;
    try {
        for (let number = 1; number <= repeat; number++) {
            for (const server of values.server === 'all' ? SERVERS : [values.server]) {
                const start = Date.now();
                const steps = await compare(server, options, folder);
                different += steps === undefined;
                const verdict = steps === undefined ? 'DIFFERENT' : `equal, ${steps} steps`;
                console.log(`${server} ${number}/${repeat}: ${verdict}, ${((Date.now() - start) / 1000).toFixed(1)} s`);
            }
        }
    } finally {
        if (!values.dir) fs.rmSync(folder, { recursive: true, force: true });
    }
    return different ? 1 : 0;
}

process.exitCode = await main();
