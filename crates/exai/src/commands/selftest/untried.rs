//! Tests that the authors of exai could not run themselves, for people who have such a machine.

/// On Windows. `docs/windows.md` has the same list.
const WINDOWS: [&str; 15] = [
    "`exai selftest` says that it works: 7 of 7 cases.",
    "No window opens or flashes when a client starts `exai shim`, when a server starts, and when an agent calls the tool `doctor` of the server `exai`.",
    "`exai start` in a tab of Windows Terminal, then close the tab: `exai status` elsewhere says running, and in its line `apart` how the daemon got out of the tab's job.",
    "The same with an MCP client that has started the daemon by its shim (VS Code, Claude Desktop, Claude Code): quit it, and the daemon stays.",
    "Claude Desktop from the Store or its installer and another client at once: `exai status` shows the shims of both with one daemon, and while that daemon runs, Claude Desktop updates itself and starts again.",
    "Servers by `python` of the Store, two of them at once, and by `wsl -d NAME -- COMMAND`: each starts, or `exai status` says in a plain sentence why not.",
    "`exai ps` after a call of each server: the servers are no longer called presumed, since Windows counts what they read and write.",
    "Servers by `.venv\\Scripts\\python.exe`, `py -3`, `npx` and `uvx`: `exai ps` shows the trees of docs/process-tree.md, and `exai stop` leaves none of them in Task Manager, `conhost.exe` included.",
    "End the daemon in Task Manager: its servers are gone at once, and the next call of each client is answered.",
    "`exai shim` in an elevated terminal with no daemon running: it says how to start one, and starts none.",
    "Two accounts signed in at once: each has a daemon of its own, and neither reaches the other's.",
    "Ctrl-C in `exai serve` ends it like `exai stop`, and its servers with it.",
    "Rename `exai.exe` while its daemon runs and put a newer one in its place: `exai restart` runs the newer one.",
    "An account whose name is not ASCII, and a state directory (`EXAI_HOME`) whose path is longer than 260 characters: `exai selftest` and `exai status`.",
    "`exai login` at a server that wants a sign-in, and calls after its token has ended: the token is renewed, nobody is asked. Credential Manager has one generic credential `exai: sign-ins of …`, and `exai login --list` says that files are sealed.",
];

/// On macOS.
const MACOS: [&str; 2] = [
    "`exai selftest` says that it works: 7 of 7 cases.",
    "`exai login` at a server that wants a sign-in: `exai login --list` says that files are sealed, also after `exai restart`. With another build of exai: what the keychain asks, and that calls go on once that is answered.",
];

/// The tests that are wanted on this system; none where the tests of exai run.
pub(super) fn here() -> &'static [&'static str] {
    match std::env::consts::OS {
        "windows" => &WINDOWS,
        "macos" => &MACOS,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_for_windows_has_the_same_list() {
        let guide = include_str!("../../../../../docs/windows.md").replace("\r\n", "\n");
        let (_, list) = guide.split_once("\n## What a person with Windows can check\n").expect("the section");
        let listed: Vec<String> = list
            .split("\n- ")
            .skip(1)
            .map(|item| {
                item.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(listed, WINDOWS);
    }
}
