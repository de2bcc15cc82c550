//! Sign-ins and renewals, judged by an authorization server that refuses what OAuth 2.1 and MCP forbid, and goes wrong.

mod adoptions;
mod answers;
mod crowds;
mod devices;
mod discovery;
mod flow;
mod identities;
mod moving;
mod plans;
mod play;
mod records;
mod refusals;
mod renewals;
mod scopes;
mod sealing;
mod secrets;
mod strange_tokens;
