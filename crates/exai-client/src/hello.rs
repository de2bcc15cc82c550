//! How a process introduces itself to a daemon.

use exai_proto::link::{Hello, Role, SEVERAL_SINCE, Versions};

/// The versions of the link that this build speaks.
pub(crate) fn link_versions() -> Versions {
    exai_os::build::link_versions().map_or(Versions::OURS, |(min, max)| Versions { min, max })
}

/// The introduction of this process.
pub fn hello(role: Role) -> Hello {
    Hello {
        versions: link_versions(),
        build: exai_os::build::version().to_owned(),
        role,
        pid: std::process::id(),
        server: None,
        servers: Vec::new(),
        label: None,
        directory: working_directory(),
    }
}

/// The directory in which the client has started this process, which never leaves it. `None` if it is gone, or is no
/// Unicode.
fn working_directory() -> Option<String> {
    std::env::current_dir().ok()?.into_os_string().into_string().ok()
}

/// The introduction of this process, which wants the tools of these servers: all of them if there are none, those of one
/// under their own names, and those of several united.
pub fn hello_for_servers(role: Role, servers: Vec<String>) -> Hello {
    let hello = hello(role);
    match <[String; 1]>::try_from(servers) {
        Ok([only]) => Hello { server: Some(only), ..hello },
        Err(servers) if servers.is_empty() => hello,
        Err(servers) => {
            let min = hello.versions.min.max(SEVERAL_SINCE);
            Hello { servers, versions: Versions { min, ..hello.versions }, ..hello }
        }
    }
}
