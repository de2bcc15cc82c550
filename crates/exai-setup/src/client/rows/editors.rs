//! Editors that speak MCP themselves.

use super::usual::{MCP_SERVERS, MINUTE, NO_RULES, USUAL, project_file, user_file};
use crate::client::places::{Platform, everywhere, only_on};
use crate::client::read_entry::{ReadRules, TimeoutMeaning};
use crate::client::row::{Client, ConfigFile, Container, Role, Snippet, Switch};
use crate::client::write_entry;
use crate::format::Format;
use crate::variables::VariableSyntax;

const SERVERS: &[&str] = &["servers"];
const CONTEXT_SERVERS: &[&str] = &["context_servers"];
const ENV_BRACES: ReadRules = ReadRules { variables: &[VariableSyntax::EnvBraces], ..NO_RULES };

/// What VS Code and its preview have in common.
const VS_CODE: Client = Client {
    documentation: "https://code.visualstudio.com/docs/agents/reference/mcp-configuration",
    snippet: Snippet { format: Format::Jsonc, pointer: SERVERS, container: Container::Map },
    write: write_entry::stdio,
    rules: ENV_BRACES,
    reload: "Run \"MCP: List Servers\" from the Command Palette and start exai there.",
    rejects_mark: false,
    name_limit: Some(64),
    tool_limit: Some(128),
    passes_environment: Some(true),
    honours_list_changed: Some(true),
    ..USUAL
};

pub(super) const CLIENTS: &[Client] = &[
    Client {
        id: "cursor",
        display_name: "Cursor",
        documentation: "https://cursor.com/docs/context/mcp",
        files: &[
            user_file(Format::Jsonc, MCP_SERVERS, &[everywhere("{home}/.cursor/mcp.json")]),
            project_file(Format::Jsonc, MCP_SERVERS, &[everywhere("{project}/.cursor/mcp.json")]),
        ],
        rules: ENV_BRACES,
        reload: "Cursor starts exai by itself; otherwise switch exai off and on under Settings, Tools & MCP.",
        processes: &["Cursor", "cursor"],
        name_limit: Some(60),
        tool_limit: Some(40),
        ..USUAL
    },
    Client {
        id: "vscode",
        display_name: "VS Code",
        files: &[
            user_file(Format::Jsonc, SERVERS, &[everywhere("{config}/Code/User/mcp.json")]),
            ConfigFile {
                role: Role::IfPresent,
                ..user_file(Format::Jsonc, SERVERS, &[everywhere("{config}/Code/User/profiles/*/mcp.json")])
            },
            project_file(Format::Jsonc, SERVERS, &[everywhere("{project}/.vscode/mcp.json")]),
        ],
        processes: &["Code", "code"],
        ..VS_CODE
    },
    Client {
        id: "vscode-insiders",
        display_name: "VS Code Insiders",
        files: &[
            user_file(Format::Jsonc, SERVERS, &[everywhere("{config}/Code - Insiders/User/mcp.json")]),
            ConfigFile {
                role: Role::IfPresent,
                ..user_file(
                    Format::Jsonc,
                    SERVERS,
                    &[everywhere("{config}/Code - Insiders/User/profiles/*/mcp.json")],
                )
            },
        ],
        processes: &["Code - Insiders", "code-insiders"],
        ..VS_CODE
    },
    Client {
        id: "windsurf",
        display_name: "Windsurf",
        documentation: "https://docs.windsurf.com/windsurf/cascade/mcp",
        files: &[user_file(
            Format::Json,
            MCP_SERVERS,
            &[
                everywhere("{home}/.codeium/windsurf/mcp_config.json"),
                everywhere("{home}/.codeium/mcp_config.json"),
            ],
        )],
        rules: ENV_BRACES,
        switch: Switch::Disabled,
        reload: "Press Refresh in the MCP panel of Cascade.",
        processes: &["Windsurf", "windsurf"],
        tool_limit: Some(100),
        ..USUAL
    },
    Client {
        id: "antigravity",
        display_name: "Antigravity",
        documentation: "https://antigravity.google/docs/mcp",
        files: &[user_file(
            Format::Json,
            MCP_SERVERS,
            &[
                everywhere("{home}/.gemini/config/mcp_config.json"),
                everywhere("{home}/.gemini/antigravity/mcp_config.json"),
            ],
        )],
        switch: Switch::Disabled,
        reload: "Press Refresh under Manage MCP Servers.",
        processes: &["Antigravity", "antigravity", "agy"],
        ..USUAL
    },
    Client {
        id: "zed",
        display_name: "Zed",
        documentation: "https://zed.dev/docs/ai/mcp",
        files: &[
            user_file(
                Format::Jsonc,
                CONTEXT_SERVERS,
                &[
                    only_on(Platform::Windows, "{appdata}/Zed/settings.json"),
                    only_on(Platform::MacOs, "{home}/.config/zed/settings.json"),
                    only_on(Platform::Linux, "{FLATPAK_XDG_CONFIG_HOME}/zed/settings.json"),
                    only_on(Platform::Linux, "{xdg}/zed/settings.json"),
                ],
            ),
            project_file(Format::Jsonc, CONTEXT_SERVERS, &[everywhere("{project}/.zed/settings.json")]),
        ],
        snippet: Snippet { format: Format::Jsonc, pointer: CONTEXT_SERVERS, container: Container::Map },
        rules: ReadRules { timeout: TimeoutMeaning::CallSeconds, ..NO_RULES },
        switch: Switch::Enabled,
        reload: "Zed starts exai by itself as soon as the file is saved.",
        processes: &["Zed", "zed", "zed-editor"],
        call_timeout: MINUTE,
        honours_list_changed: Some(true),
        ..USUAL
    },
];
