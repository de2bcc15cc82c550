/// Nothing of the kind is handed from process to process here but the priority class, which stays as the starter's.
pub(crate) fn shed(_in_passing: bool) {}

pub(crate) fn niceness() -> i32 {
    0
}

pub(crate) fn let_children_be_waited_for() {}
