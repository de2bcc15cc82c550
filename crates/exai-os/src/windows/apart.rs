use crate::detach::Bond;

/// Here it is a job that binds.
pub(crate) fn bonds() -> Vec<Bond> {
    Vec::new()
}
