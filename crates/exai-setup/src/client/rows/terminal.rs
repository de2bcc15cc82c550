//! Programs for the terminal.

use std::time::Duration;

use super::usual::{MCP_SERVERS, MINUTE, NO_RULES, USUAL, project_file, user_file};
use crate::client::places::{Location, Platform, everywhere, only_on};
use crate::client::read_entry::{ReadRules, TimeoutMeaning};
use crate::client::row::{Client, ConfigFile, Container, Role, Snippet, Switch};
use crate::client::tool_rules::ToolRules;
use crate::client::write_entry;
use crate::format::Format;
use crate::variables::VariableSyntax::{Braces, Dollar, EnvBracesAlone};

const MCP: &[&str] = &["mcp"];
const AMP_SERVERS: &[&str] = &["amp.mcpServers"];
const CODEX_SERVERS: &[&str] = &["mcp_servers"];
const GOOSE_EXTENSIONS: &[&str] = &["extensions"];

/// What Gemini CLI and its descendant have in common.
const GEMINI: Client = Client {
    rules: ReadRules { variables: &[Braces, Dollar], timeout: TimeoutMeaning::CallMilliseconds, ..NO_RULES },
    call_timeout: Some(Duration::from_mins(10)),
    name_limit: Some(63),
    passes_environment: Some(true),
    ..USUAL
};

/// A file that opencode reads beside the one with exai's entry.
const fn opencode_file(locations: &'static [Location]) -> ConfigFile {
    ConfigFile { role: Role::Import, ..user_file(Format::Jsonc, MCP, locations) }
}

/// Rules in a file of the account.
const fn rules_in(
    locations: &'static [Location],
    pointer: &'static [&'static str],
    prefix: &'static str,
) -> ToolRules {
    ToolRules { format: Format::Jsonc, locations, pointer, prefix }
}

/// <https://code.claude.com/docs/en/permissions#mcp>
const CLAUDE_RULES: &[ToolRules] = &[rules_in(
    &[everywhere("{CLAUDE_CONFIG_DIR}/settings.json"), everywhere("{home}/.claude/settings.json")],
    &["permissions"],
    "mcp__",
)];

/// `mcp.allowed` and `mcp.excluded`, and what `gemini mcp disable` writes:
/// <https://geminicli.com/docs/tools/mcp-server#global-mcp-settings-mcp>
const GEMINI_RULES: &[ToolRules] = &[
    rules_in(
        &[everywhere("{GEMINI_CLI_HOME}/.gemini/settings.json"), everywhere("{home}/.gemini/settings.json")],
        &["mcp"],
        "",
    ),
    rules_in(
        &[
            everywhere("{GEMINI_CLI_HOME}/.gemini/mcp-server-enablement.json"),
            everywhere("{home}/.gemini/mcp-server-enablement.json"),
        ],
        &[],
        "",
    ),
];

const QWEN_RULES: &[ToolRules] = &[rules_in(
    &[everywhere("{QWEN_HOME}/settings.json"), everywhere("{home}/.qwen/settings.json")],
    &["mcp"],
    "",
)];

const OPENCODE_FILES: &[Location] = &[
    everywhere("{OPENCODE_CONFIG}"),
    everywhere("{xdg}/opencode/opencode.jsonc"),
    everywhere("{xdg}/opencode/opencode.json"),
];

/// <https://opencode.ai/docs/mcp-servers/#manage>
const OPENCODE_RULES: &[ToolRules] =
    &[rules_in(OPENCODE_FILES, &["tools"], ""), rules_in(OPENCODE_FILES, &["permission"], "")];

pub(super) const CLIENTS: &[Client] = &[
    Client {
        id: "claude-code",
        display_name: "Claude Code",
        documentation: "https://code.claude.com/docs/en/mcp",
        files: &[
            user_file(
                Format::Json,
                MCP_SERVERS,
                &[everywhere("{CLAUDE_CONFIG_DIR}/.claude.json"), everywhere("{home}/.claude.json")],
            ),
            // The servers that a user keeps for one project, in the user's own file.
            ConfigFile {
                role: Role::Import,
                ..user_file(
                    Format::Json,
                    &["projects", "*", "mcpServers"],
                    &[everywhere("{CLAUDE_CONFIG_DIR}/.claude.json"), everywhere("{home}/.claude.json")],
                )
            },
            project_file(Format::Json, MCP_SERVERS, &[everywhere("{project}/.mcp.json")]),
        ],
        write: write_entry::stdio,
        rules: ReadRules { variables: &[Braces], timeout: TimeoutMeaning::CallMilliseconds, ..NO_RULES },
        tool_rules: CLAUDE_RULES,
        reload: "Start a new session of Claude Code.",
        processes: &["claude"],
        name_limit: Some(64),
        passes_environment: Some(true),
        honours_list_changed: Some(true),
        ..USUAL
    },
    Client {
        id: "codex",
        display_name: "Codex",
        documentation: "https://developers.openai.com/codex/mcp",
        files: &[
            user_file(
                Format::Toml,
                CODEX_SERVERS,
                &[everywhere("{CODEX_HOME}/config.toml"), everywhere("{home}/.codex/config.toml")],
            ),
            project_file(Format::Toml, CODEX_SERVERS, &[everywhere("{project}/.codex/config.toml")]),
        ],
        snippet: Snippet { format: Format::Toml, pointer: CODEX_SERVERS, container: Container::Map },
        switch: Switch::Enabled,
        reload: "Start a new session of Codex.",
        processes: &["codex"],
        call_timeout: MINUTE,
        name_limit: Some(64),
        passes_environment: Some(false),
        honours_list_changed: Some(false),
        ..USUAL
    },
    Client {
        id: "gemini-cli",
        display_name: "Gemini CLI",
        documentation: "https://geminicli.com/docs/tools/mcp-server",
        files: &[
            user_file(
                Format::Jsonc,
                MCP_SERVERS,
                &[
                    everywhere("{GEMINI_CLI_HOME}/.gemini/settings.json"),
                    everywhere("{home}/.gemini/settings.json"),
                ],
            ),
            project_file(Format::Jsonc, MCP_SERVERS, &[everywhere("{project}/.gemini/settings.json")]),
        ],
        tool_rules: GEMINI_RULES,
        reload: "Start a new session of Gemini CLI, in a folder that it trusts.",
        processes: &["gemini"],
        honours_list_changed: Some(true),
        ..GEMINI
    },
    Client {
        id: "qwen-code",
        display_name: "Qwen Code",
        documentation: "https://qwenlm.github.io/qwen-code-docs/en/users/features/mcp/",
        files: &[
            user_file(
                Format::Jsonc,
                MCP_SERVERS,
                &[everywhere("{QWEN_HOME}/settings.json"), everywhere("{home}/.qwen/settings.json")],
            ),
            project_file(Format::Jsonc, MCP_SERVERS, &[everywhere("{project}/.qwen/settings.json")]),
        ],
        tool_rules: QWEN_RULES,
        reload: "Start a new session of Qwen Code.",
        processes: &["qwen"],
        honours_list_changed: Some(false),
        ..GEMINI
    },
    Client {
        id: "auggie",
        display_name: "Auggie CLI",
        documentation: "https://docs.augmentcode.com/cli/integrations",
        files: &[user_file(Format::Json, MCP_SERVERS, &[everywhere("{home}/.augment/settings.json")])],
        write: write_entry::stdio,
        rules: ReadRules { variables: &[Braces], ..NO_RULES },
        reload: "Start a new session of Auggie.",
        processes: &["auggie"],
        passes_environment: Some(false),
        ..USUAL
    },
    Client {
        id: "copilot-cli",
        display_name: "Copilot CLI",
        documentation: "https://docs.github.com/en/copilot/how-tos/copilot-cli/customize-copilot/add-mcp-servers",
        files: &[user_file(
            Format::Jsonc,
            MCP_SERVERS,
            &[everywhere("{COPILOT_HOME}/mcp-config.json"), everywhere("{home}/.copilot/mcp-config.json")],
        )],
        write: write_entry::copilot,
        rules: ReadRules { variables: &[Braces], timeout: TimeoutMeaning::CallMilliseconds, ..NO_RULES },
        reload: "Start a new session of Copilot CLI.",
        processes: &["copilot"],
        passes_environment: Some(true),
        honours_list_changed: Some(true),
        ..USUAL
    },
    Client {
        id: "opencode",
        display_name: "opencode",
        documentation: "https://opencode.ai/docs/mcp-servers/",
        files: &[
            user_file(
                Format::Jsonc,
                MCP,
                &[
                    everywhere("{OPENCODE_CONFIG}"),
                    everywhere("{xdg}/opencode/opencode.jsonc"),
                    everywhere("{xdg}/opencode/opencode.json"),
                ],
            ),
            // It reads all of these together, that of the variable as well.
            opencode_file(&[everywhere("{xdg}/opencode/opencode.jsonc")]),
            opencode_file(&[everywhere("{xdg}/opencode/opencode.json")]),
            opencode_file(&[everywhere("{xdg}/opencode/config.json")]),
            project_file(
                Format::Jsonc,
                MCP,
                &[everywhere("{project}/opencode.jsonc"), everywhere("{project}/opencode.json")],
            ),
        ],
        snippet: Snippet { format: Format::Jsonc, pointer: MCP, container: Container::Map },
        write: write_entry::opencode,
        rules: ReadRules {
            variables: &[EnvBracesAlone],
            timeout: TimeoutMeaning::StartMilliseconds,
            ..NO_RULES
        },
        switch: Switch::Enabled,
        tool_rules: OPENCODE_RULES,
        reload: "Restart opencode.",
        processes: &["opencode"],
        passes_environment: Some(true),
        honours_list_changed: Some(true),
        ..USUAL
    },
    Client {
        id: "amp",
        display_name: "Amp",
        documentation: "https://ampcode.com/manual#mcp",
        files: &[
            // On Windows, too: %USERPROFILE%\.config.
            user_file(
                Format::Jsonc,
                AMP_SERVERS,
                &[
                    everywhere("{AMP_SETTINGS_FILE}"),
                    everywhere("{xdg}/amp/settings.json"),
                    everywhere("{xdg}/amp/settings.jsonc"),
                ],
            ),
            project_file(Format::Jsonc, AMP_SERVERS, &[everywhere("{project}/.amp/settings.json")]),
        ],
        snippet: Snippet { format: Format::Jsonc, pointer: AMP_SERVERS, container: Container::Map },
        rules: ReadRules { variables: &[Braces], ..NO_RULES },
        reload: "Start a new session of Amp.",
        processes: &["amp"],
        ..USUAL
    },
    Client {
        id: "continue",
        display_name: "Continue",
        documentation: "https://docs.continue.dev/reference",
        files: &[ConfigFile {
            container: Container::List,
            role: Role::Import,
            ..user_file(
                Format::Yaml,
                MCP_SERVERS,
                &[
                    everywhere("{CONTINUE_GLOBAL_DIR}/config.yaml"),
                    everywhere("{home}/.continue/config.yaml"),
                ],
            )
        }],
        snippet: Snippet { format: Format::Yaml, pointer: MCP_SERVERS, container: Container::List },
        reload: "Add these lines to ~/.continue/config.yaml; the editor loads the file when it is saved, `cn` when it starts.",
        processes: &["cn"],
        passes_environment: Some(true),
        ..USUAL
    },
    Client {
        id: "goose",
        display_name: "Goose",
        documentation: "https://block.github.io/goose/docs/guides/config-files",
        files: &[ConfigFile {
            role: Role::Import,
            ..user_file(
                Format::Yaml,
                GOOSE_EXTENSIONS,
                &[
                    only_on(Platform::Windows, "{appdata}/Block/goose/config/config.yaml"),
                    only_on(Platform::MacOs, "{xdg}/goose/config.yaml"),
                    only_on(Platform::Linux, "{xdg}/goose/config.yaml"),
                ],
            )
        }],
        snippet: Snippet { format: Format::Yaml, pointer: GOOSE_EXTENSIONS, container: Container::Map },
        write: write_entry::goose,
        rules: ReadRules { timeout: TimeoutMeaning::CallSeconds, ..NO_RULES },
        switch: Switch::Enabled,
        reload: "Add these lines to the config.yaml of Goose and start a new session.",
        processes: &["goose", "goosed", "Goose"],
        call_timeout: Some(Duration::from_mins(5)),
        ..USUAL
    },
];
