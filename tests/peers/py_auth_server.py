"""A protected MCP server that signs people in itself, with the endpoints of the official Python SDK, 1.x or 2.x.

    .peers/py1/bin/python tests/peers/py_auth_server.py 9001     on http://127.0.0.1:9001/mcp

Access tokens are good for two seconds, refresh tokens for one use. The tool `account` tells whom the token stands for,
its number, and what has happened so far.
"""

import inspect
import secrets
import sys
import time

from mcp.server.auth.provider import AccessToken, AuthorizationCode, RefreshToken, construct_redirect_uri
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.shared.auth import OAuthToken

try:
    from mcp.server.mcpserver import MCPServer as Server  # 2.x
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server  # 1.x

LIFE_SECONDS = 2
SCOPE = "mcp"


class Provider:
    """Everybody is the tester, and has consented."""

    def __init__(self):
        self.clients, self.codes, self.refreshes, self.tokens = {}, {}, {}, {}
        self.rotations = 0
        self.last = None
        self.errors = []

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        code = AuthorizationCode(
            code=secrets.token_urlsafe(),
            scopes=params.scopes or [SCOPE],
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        del self.codes[authorization_code.code]
        return self.issue(client, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(self, client, refresh_token):
        found = self.refreshes.get(refresh_token)
        if found is None:
            self.errors.append("a refresh token came twice, or is unknown")
        return found and found[0]

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        _, resource = self.refreshes.pop(refresh_token.token)
        self.rotations += 1
        return self.issue(client, scopes or refresh_token.scopes, resource)

    def issue(self, client, scopes, resource):
        about = {"client_id": client.client_id, "scopes": scopes}
        access, refresh = secrets.token_urlsafe(), secrets.token_urlsafe()
        ends = int(time.time()) + LIFE_SECONDS
        self.tokens[access] = AccessToken(token=access, expires_at=ends, resource=resource, **about)
        self.refreshes[refresh] = (RefreshToken(token=refresh, **about), resource)
        return OAuthToken(
            access_token=access, expires_in=LIFE_SECONDS, scope=" ".join(scopes), refresh_token=refresh
        )

    async def load_access_token(self, token):
        self.last = token
        return self.tokens.get(token)

    async def revoke_token(self, token):
        self.tokens.pop(token.token, None)
        self.refreshes.pop(token.token, None)


port = int(sys.argv[1])
provider = Provider()
auth = AuthSettings(
    issuer_url=f"http://127.0.0.1:{port}",
    resource_server_url=f"http://127.0.0.1:{port}/mcp",
    client_registration_options=ClientRegistrationOptions(
        enabled=True, valid_scopes=[SCOPE], default_scopes=[SCOPE]
    ),
    required_scopes=[SCOPE],
    validate_token_resource=True,
)
server = Server("python-auth-peer", auth_server_provider=provider, auth=auth)


@server.tool(structured_output=False)
def account() -> dict:
    """Whom the token stands for."""
    # Not that of `get_access_token`: in 1.x it is the one that the session has begun with.
    return {
        "sub": "tester",
        "jti": list(provider.tokens).index(provider.last),
        "registrations": len(provider.clients),
        "rotations": provider.rotations,
        "errors": provider.errors,
    }


if "port" in inspect.signature(Server.run_streamable_http_async).parameters:
    server.run("streamable-http", port=port)  # 2.x
else:
    server.settings.port = port
    server.run("streamable-http")
