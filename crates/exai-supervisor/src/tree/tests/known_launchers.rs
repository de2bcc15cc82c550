//! The launchers as which programs are known.

use super::super::known_launchers;
use super::*;

#[test]
fn launchers_are_known_by_their_arguments() {
    let cases = [
        ("npm exec @scope/pkg --flag", "npx: npm exec"),
        ("npm run start", "npm: npm run"),
        ("node /usr/lib/node_modules/npm/bin/npx-cli.js -y x", "npx: npx"),
        ("node /usr/bin/npx -y x", "npx: npx"),
        ("node --no-warnings /usr/bin/npm exec x", "npx: npm exec"),
        ("node /usr/bin/pnpm dlx x", "pnpm: pnpm"),
        ("bun x cowsay", "bunx: bun x"),
        ("/opt/bunx x", "bunx: bunx"),
        ("bun run server.ts", ""),
        ("node server.js", ""),
        ("node", ""),
        ("uvx mcp-server-git", "uvx: uvx"),
        ("/usr/bin/uv tool uvx x", "uvx: uv tool run"),
        ("uv --directory /home/run run server.py", "uv: uv run"),
        ("uv sync", ""),
        ("python /usr/bin/pipx run x", "pipx: pipx run"),
        ("python3.11 -m pipx run x", "pipx: pipx run"),
        ("python -m server run", ""),
        ("sh -c x", "shell: sh -c"),
        ("/bin/bash -lc x", "shell: bash -c"),
        ("-zsh -c x", "shell: zsh -c"),
        ("bash --norc -e -c x", "shell: bash -c"),
        ("bash --rcfile", ""),
        ("bash /opt/secret/start.sh key", "shell: bash start.sh"),
        ("busybox sh -c x", "shell: busybox -c"),
        ("pwsh -NoProfile -ExecutionPolicy Bypass -Command x", "shell: pwsh"),
        (r"powershell -File C:\x\start.ps1", "shell: powershell start.ps1"),
        (r"C:\Windows\py.exe -3 server.py", "py: py"),
        (r"C:\Windows\System32\CMD.EXE /C x", "cmd: cmd /c"),
        ("conda run -n env x", "conda: conda run"),
        ("docker run -i x", "relay: docker run"),
        ("docker --log-level debug exec -i x y", "relay: docker exec"),
        ("docker mcp gateway run", ""),
        ("podman run -i x", "relay: podman run"),
        ("kubectl -n run exec x", "relay: kubectl exec"),
        ("ssh host mcp", "relay: ssh"),
        ("tee log", "relay: tee"),
        ("timeout 5 x", "wrapper: timeout"),
        ("sudo -u x y", "wrapper: sudo"),
        ("op run -- x", "wrapper: op run"),
        ("poetry run x", "wrapper: poetry run"),
        ("", ""),
        ("-", ""),
        ("/", ""),
    ];
    for (command, expected) in cases {
        let found = known_launchers::of(&member(3, 2, command, "io"), &[]);
        let found = found.map(|found| format!("{}: {}", found.kind, found.label)).unwrap_or_default();
        assert_eq!(found, expected, "{command}");
    }
}

#[test]
fn labels_hold_no_arguments() {
    let found = known_launchers::of(&member(3, 2, "sh -c TOKEN=hunter2;x", "io"), &[]).unwrap();
    assert!(!format!("{found:?}").contains("hunter2"));
}
