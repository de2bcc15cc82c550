//! What a dead daemon left behind: records written by hand, real processes as leftovers and as decoys.

mod decoys;
mod files;
mod proofs;
mod scene;
