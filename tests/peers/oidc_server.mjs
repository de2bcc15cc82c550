// A protected MCP server of the official TypeScript SDK, and oidc-provider, whose tokens it takes.
//
//   .peers/node_modules/node/bin/node tests/peers/oidc_server.mjs
//
// Prints one line, {"mcp": URL}, and works until its stdin ends. Access tokens are good for two seconds. The tool
// `account` tells whom the token stands for, its number, and what the authorization server has done so far.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const require = createRequire(path.join(ROOT, '.peers', 'package.json'));
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { createMcpExpressApp } = require('@modelcontextprotocol/sdk/server/express.js');
const { InvalidTokenError } = require('@modelcontextprotocol/sdk/server/auth/errors.js');
const { requireBearerAuth } = require('@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js');
const { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } = require(
    '@modelcontextprotocol/sdk/server/auth/router.js',
);
const { createRemoteJWKSet, jwtVerify } = require('jose');
const { Provider, errors } = require('oidc-provider');

// The provider advises on stdout, which is closed once the line has been read.
console.info = console.warn = console.error;

const LIFE_SECONDS = 2;
const SCOPE = 'mcp';

const app = createMcpExpressApp();
const resources = await listen(createServer(app));
const mcp = new URL(`http://127.0.0.1:${resources.port}/mcp`);
const server = createServer((request, response) => provider.callback()(request, response));
const issuer = `http://127.0.0.1:${(await listen(server)).port}`;

const provider = new Provider(issuer, {
    cookies: { keys: ['a key of the tests'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access'],
    features: {
        deviceFlow: { enabled: true },
        registration: { enabled: true },
        resourceIndicators: {
            enabled: true,
            // Without `resource` there is no token for anybody: RFC 8707 must be spoken.
            defaultResource: () => undefined,
            getResourceServerInfo: (_, resource) => {
                if (resource !== mcp.href) {
                    throw new errors.InvalidTarget();
                }
                const accessTokenTTL = LIFE_SECONDS;
                return { scope: SCOPE, audience: resource, accessTokenTTL, accessTokenFormat: 'jwt' };
            },
        },
    },
});

const done = { registrations: 0, rotations: 0, errors: [] };
provider.on('registration_create.success', () => (done.registrations += 1));
provider.on('refresh_token.consumed', () => (done.rotations += 1));
for (const event of ['authorization.error', 'grant.error', 'registration_create.error', 'server_error']) {
    provider.on(event, (_, error) => {
        // Who polls for a device hears this until somebody has signed in.
        if (error.message !== 'authorization_pending') {
            done.errors.push(`${event}: ${error.message} ${error.error_description ?? ''}`);
        }
    });
}

const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
const verifier = {
    async verifyAccessToken(token) {
        const options = { issuer, audience: mcp.href, typ: 'at+jwt' };
        const { payload } = await jwtVerify(token, keys, options).catch(error => {
            throw new InvalidTokenError(error.message);
        });
        const { client_id: clientId, exp: expiresAt, jti, sub } = payload;
        return { token, clientId, expiresAt, scopes: payload.scope.split(' '), extra: { jti, sub } };
    },
};

const oauthMetadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: mcp, scopesSupported: [SCOPE] }));
const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(mcp);
app.post(mcp.pathname, requireBearerAuth({ verifier, requiredScopes: [SCOPE], resourceMetadataUrl }), answer);
app.all(mcp.pathname, (_, response) => response.sendStatus(405));
console.log(JSON.stringify({ mcp: mcp.href }));
process.stdin.resume().on('end', () => process.exit());

/** Answers a request without a session. */
async function answer(request, response) {
    const one = new McpServer({ name: 'oidc', version: '1' });
    one.registerTool('account', { description: 'whom the token stands for' }, ({ authInfo }) => ({
        content: [{ type: 'text', text: JSON.stringify({ ...authInfo.extra, ...done }) }],
    }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    response.on('close', () => transport.close());
    await one.connect(transport);
    await transport.handleRequest(request, response, request.body);
}

function listen(server) {
    return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server.address())));
}
