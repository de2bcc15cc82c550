//! Test support: fixture servers, private daemons, condition waiting.
