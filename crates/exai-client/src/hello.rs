//! How a process introduces itself to a daemon.

use exai_proto::link::{Hello, Role, Versions};

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
        label: None,
    }
}
