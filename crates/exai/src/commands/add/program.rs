//! What can be said of a program and a name before anything is added.

/// Whether this is the path of a program, or a program on this terminal's `PATH`.
pub(super) fn is_program(text: &str) -> bool {
    let Ok(here) = std::env::current_dir() else { return false };
    exai_os::search::resolve(text, &here, &exai_config::environment::of_this_process()).is_ok()
}

/// The name of a server as a source has it, short enough for a sentence.
pub(super) fn shown_name(name: &str) -> String {
    exai_proto::limits::cut(name, exai_proto::limits::NAME_CHARS)
}
