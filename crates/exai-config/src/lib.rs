//! Layered configuration with the origin of each value, paths, environment catalogue.
