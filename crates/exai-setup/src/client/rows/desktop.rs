//! Programs with windows that are no editors.

use std::time::Duration;

use super::usual::{MCP_SERVERS, MINUTE, USUAL, user_file};
use crate::client::places::{Platform, everywhere, only_on};
use crate::client::read_entry::ReadRules;
use crate::client::row::{Client, ConfigFile, Rewrites, Role};
use crate::format::Format;
use crate::variables::VariableSyntax;

pub(super) const CLIENTS: &[Client] = &[
    Client {
        id: "claude-desktop",
        display_name: "Claude Desktop",
        documentation: "https://modelcontextprotocol.io/docs/develop/connect-local-servers",
        files: &[
            // The packaged build keeps what it writes below %APPDATA% in a folder of its own. It has the only file that counts
            // there, and the folder is there before the file: https://github.com/anthropics/claude-code/issues/26073.
            ConfigFile {
                role: Role::IfDirectory,
                ..user_file(
                    Format::Json,
                    MCP_SERVERS,
                    &[only_on(
                        Platform::Windows,
                        "{localappdata}/Packages/Claude_*/LocalCache/Roaming/Claude/claude_desktop_config.json",
                    )],
                )
            },
            user_file(Format::Json, MCP_SERVERS, &[everywhere("{config}/Claude/claude_desktop_config.json")]),
        ],
        reload: "Quit Claude Desktop completely (on Windows in the notification area) and start it again.",
        processes: &["Claude", "claude-desktop"],
        rewrites: Rewrites::Yes,
        call_timeout: Some(Duration::from_mins(4)),
        name_limit: Some(64),
        passes_environment: Some(false),
        ..USUAL
    },
    Client {
        id: "lm-studio",
        display_name: "LM Studio",
        documentation: "https://lmstudio.ai/docs/app/mcp",
        files: &[user_file(Format::Json, MCP_SERVERS, &[everywhere("{home}/.lmstudio/mcp.json")])],
        rules: ReadRules { variables: &[VariableSyntax::EnvBraces], ..super::usual::NO_RULES },
        reload: "LM Studio loads the file when it is saved; otherwise restart LM Studio.",
        processes: &["LM Studio", "lm-studio"],
        call_timeout: MINUTE,
        ..USUAL
    },
    Client {
        id: "jetbrains",
        display_name: "JetBrains AI Assistant",
        documentation: "https://www.jetbrains.com/help/ai-assistant/mcp.html",
        reload: "Paste this under Settings, Tools, AI Assistant, Model Context Protocol (MCP), Add, As JSON, and press Apply.",
        ..USUAL
    },
];
