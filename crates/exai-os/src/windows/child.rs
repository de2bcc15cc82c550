/// Nothing here limits descriptors.
pub(crate) fn raise_descriptor_limit() {}

/// Windows keeps the memory of a program that fails only where its administrator wants that.
pub(crate) fn refuse_core_files() {}
