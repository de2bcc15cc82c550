//! Launchers on Linux and macOS.

use super::*;

pub(super) fn cases(dir: &Path) -> Vec<Case> {
    let server = copy_of_the_server(dir);
    put_on_npxs_path(dir, &server);
    let script = text(&server.join(MODULE).join("__init__.py"));
    let server = text(&server);
    let venv = virtual_environment(dir);
    let tool = |name: &str| venv.with_file_name(name);
    let in_a_shell = format!("'{}' '{script}'; true", text(&venv));
    let asynchronous = format!("exec 3<&0; '{}' '{script}' <&3 & wait", text(&venv));
    vec![
        Case::new("npx", "npx", &["--no", "--", "pid-server"], &["npx", "shell"]),
        Case::new("node", "node", &[&format!("{server}/index.js")], &[]),
        Case::new("uvx", tool("uvx"), &["--offline", "--from", &server, "pid-server"], &["uvx"]),
        Case::new("uv-run", tool("uv"), &["run", "--offline", "--no-project", &script], &["uv"]),
        Case::new(
            "uv-run-project",
            tool("uv"),
            &["run", "--offline", "--project", &server, "pid-server"],
            &["uv"],
        ),
        Case::new("venv", venv.clone(), &[&script], &[]),
        Case::new("shell", "sh", &["-c", &in_a_shell], &["shell"]),
        Case::new("background", "sh", &["-c", &asynchronous], &["shell"]),
        Case::new("env", "env", &["A=1", "nice", &text(&venv), &script], &[]),
    ]
}

/// The Python of a virtual environment.
pub(crate) fn virtual_environment(_dir: &Path) -> PathBuf {
    peers::python()
}

/// The Python is a link to the interpreter, so no process is above the server.
pub(crate) const VENV: &[&str] = &[];

fn put_on_npxs_path(dir: &Path, server: &Path) {
    let bin = dir.join("node_modules/.bin");
    std::fs::create_dir_all(&bin).expect("a directory");
    std::fs::write(dir.join("package.json"), r#"{"name":"x","version":"1.0.0"}"#).expect("a file");
    let script = server.join("index.js");
    let mut mode = std::fs::metadata(&script).expect("the script").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&script, mode).expect("it becomes a program");
    std::os::unix::fs::symlink(script, bin.join("pid-server")).expect("a link");
}

pub(crate) fn comes_with_the_console(_process: &Value) -> bool {
    false
}

/// Whether the system counts the bytes that a process reads and writes, so that exai can see a server at work.
pub(crate) fn counts_io() -> bool {
    cfg!(target_os = "linux")
}
