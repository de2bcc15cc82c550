//! The platform wall: the only unsafe code and the only platform conditionals.
