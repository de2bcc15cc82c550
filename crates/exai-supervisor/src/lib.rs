//! One child tree each: spawn, lines in and out, stderr ring, stop ladder. Knows bytes, not MCP.
