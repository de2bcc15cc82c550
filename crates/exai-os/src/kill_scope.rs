//! What ends when a process tree is ended.

/// How far a tree reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillScope {
    /// Everything that descends from the root.
    Descendants,
    /// The root's process group: what leaves it is meant to stay. On Windows the same as `Descendants`.
    Group,
}
