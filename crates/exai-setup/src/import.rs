//! What the clients of a machine have, made into the servers that exai is to host.

mod choice;
mod merge;
mod obstacle;

pub use choice::{ClientChoice, choose_for_client};
pub use merge::{Candidate, MergedServer, Origin, ServerIdentity, identify, merge, unwrap_shell};
pub use obstacle::{Obstacle, find_obstacle};
