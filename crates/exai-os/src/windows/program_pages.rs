/// Windows takes pages that are not used by itself.
pub(crate) fn give_back() {}
