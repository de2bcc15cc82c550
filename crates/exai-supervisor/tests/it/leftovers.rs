//! The leftovers of a dead daemon: hand-written records, and real processes as leftovers and as decoys.

mod decoys;
mod files;
mod proofs;
mod scene;
