//! Extensions of editors that keep servers of their own.

use super::usual::{MCP_SERVERS, MINUTE, NO_RULES, USUAL, project_file, user_file};
use crate::client::places::{Location, everywhere};
use crate::client::read_entry::{ReadRules, TimeoutMeaning};
use crate::client::row::{Client, ConfigFile, Container, Rewrites, Role, Switch};
use crate::client::write_entry;
use crate::format::Format;
use crate::variables::VariableSyntax;

const SECONDS: ReadRules =
    ReadRules { variables: &[VariableSyntax::EnvBraces], timeout: TimeoutMeaning::CallSeconds, ..NO_RULES };

/// The list that the extension of Augment keeps in the storage of its editor.
const fn augment_storage(role: Role, locations: &'static [Location]) -> ConfigFile {
    ConfigFile { container: Container::List, role, ..user_file(Format::Json, &[], locations) }
}

/// Where Augment had its servers until 2025.
const fn augment_settings(locations: &'static [Location]) -> ConfigFile {
    ConfigFile {
        container: Container::List,
        role: Role::Import,
        ..user_file(Format::Jsonc, &["augment.advanced", "mcpServers"], locations)
    }
}

const AUGMENT_FILES: &[ConfigFile] = &[
    augment_storage(
        Role::Main,
        &[everywhere(
            "{config}/Code/User/globalStorage/augment.vscode-augment/augment-global-state/mcpServers.json",
        )],
    ),
    augment_storage(
        Role::IfPresent,
        &[everywhere(
            "{config}/Code - Insiders/User/globalStorage/augment.vscode-augment/augment-global-state/mcpServers.json",
        )],
    ),
    augment_settings(&[everywhere("{config}/Code/User/settings.json")]),
    augment_settings(&[everywhere("{config}/Code - Insiders/User/settings.json")]),
];

pub(super) const CLIENTS: &[Client] = &[
    Client {
        id: "augment",
        display_name: "Augment Code",
        documentation: "https://docs.augmentcode.com/setup-augment/mcp",
        files: AUGMENT_FILES,
        write: write_entry::augment,
        // The panel of the extension takes one command line and has a shell read it.
        rules: ReadRules { splits_command: true, ..NO_RULES },
        switch: Switch::Disabled,
        reload: "Run \"Developer: Reload Window\" from the Command Palette of VS Code.",
        processes: &["Code", "code", "Code - Insiders", "code-insiders"],
        rewrites: Rewrites::Untried,
        passes_environment: Some(true),
        ..USUAL
    },
    Client {
        id: "cline",
        display_name: "Cline",
        documentation: "https://docs.cline.bot/mcp/configuring-mcp-servers",
        files: &[
            user_file(
                Format::Json,
                MCP_SERVERS,
                &[
                    everywhere("{CLINE_MCP_SETTINGS_PATH}"),
                    everywhere(
                        "{config}/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
                    ),
                ],
            ),
            // Cline's program for the terminal.
            ConfigFile {
                role: Role::IfPresent,
                ..user_file(
                    Format::Json,
                    MCP_SERVERS,
                    &[everywhere("{home}/.cline/data/settings/cline_mcp_settings.json")],
                )
            },
        ],
        write: write_entry::stdio,
        rules: SECONDS,
        switch: Switch::Disabled,
        reload: "Cline starts exai by itself as soon as the file is saved.",
        processes: &["Code", "code", "cline"],
        call_timeout: MINUTE,
        ..USUAL
    },
    Client {
        id: "roo",
        display_name: "Roo Code",
        documentation: "https://docs.roocode.com/features/mcp/using-mcp-in-roo",
        files: &[
            user_file(
                Format::Json,
                MCP_SERVERS,
                &[everywhere(
                    "{config}/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
                )],
            ),
            project_file(Format::Json, MCP_SERVERS, &[everywhere("{project}/.roo/mcp.json")]),
        ],
        rules: SECONDS,
        switch: Switch::Disabled,
        reload: "Roo Code starts exai by itself as soon as the file is saved.",
        processes: &["Code", "code"],
        call_timeout: MINUTE,
        ..USUAL
    },
];
