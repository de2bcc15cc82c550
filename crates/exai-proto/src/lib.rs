//! What crosses a process border: JSON-RPC envelope, shim hello, documents, error codes, exit codes.
