//! The link between shim (or command line) and daemon: a WebSocket on the private local socket, path
//! [`PATH`], subprotocol [`SUBPROTOCOL`].
//!
//! - Text frames are control messages: [`ToDaemon`] one way, [`FromDaemon`] the other, one JSON object each.
//! - Binary frames carry one MCP message each, byte for byte, without a line break at the end.
//! - The first frame each way is `hello`. A daemon that will not serve the client answers `refused`, and one that is
//!   stopping `bye`. Only what is written after the daemon's hello counts as sent.
//!
//! The version of this protocol is [`VERSION`], not the program's: a newer shim and an older daemon talk if
//! their ranges overlap. Unknown fields are ignored; an unknown `type` is answered with `error`.

use serde::{Deserialize, Serialize};

use crate::documents::{Ps, Servers, SharingExplanation, SignInDocuments, SignInPlan, Status};

/// The WebSocket subprotocol's name.
pub const SUBPROTOCOL: &str = "exai.1";
/// The path of the link on the local socket.
pub const PATH: &str = "/shim";
/// The newest version of this protocol that this build speaks. Version 1 differs from it in one point: see
/// [`SEVERAL_SINCE`].
pub const VERSION: u32 = 2;
/// The version since which a hello may name several servers. A daemon that does not know these would offer all
/// servers, so whoever names several speaks no older version.
pub const SEVERAL_SINCE: u32 = 2;

/// The versions of the link protocol a build can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub min: u32,
    /// The newest.
    pub max: u32,
}

impl Versions {
    /// What this build speaks.
    pub const OURS: Versions = Versions { min: 1, max: VERSION };

    /// The newest version both can speak.
    pub fn common(self, other: Versions) -> Option<u32> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

/// What connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A shim: one MCP client behind it.
    Shim,
    /// The command line: control messages, and at most one MCP conversation of its own. It is not shown
    /// among the clients.
    Command,
}

/// The first frame of a peer that connects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The link versions it can speak.
    pub versions: Versions,
    /// The program's version.
    pub build: String,
    /// What it is.
    pub role: Role,
    /// Its process id, by its own word; the daemon uses the one that the kernel tells where it does.
    pub pid: u32,
    /// The server it wants (`--server`), under the server's own names; or all, or several.
    pub server: Option<String>,
    /// The servers it wants (`--server`, more than once), united; empty for all. See [`SEVERAL_SINCE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// The name of the client (`--client`): for people, and for what the configuration lets the client see.
    pub label: Option<String>,
    /// The directory in which the program was started, an absolute path. `None` if the path is no Unicode. Programs
    /// of 0.1 did not say it from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// Control messages to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToDaemon {
    /// Always first.
    Hello(Hello),
    /// Asks for the status document.
    Status,
    /// Asks for the processes document.
    Ps,
    /// Asks for the list of configured servers.
    Servers {
        /// The client whose servers are wanted, by its label: those that it may see, the built-in one included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<String>,
    },
    /// Asks the daemon to read its configuration again; answered by `reloaded` or `error`.
    Reload {
        /// A server to start then, so that what it offers is known before a client asks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<String>,
    },
    /// Asks the daemon to stop, after at most this long for what is under way.
    Stop {
        /// Grace in milliseconds.
        timeout_ms: u64,
        /// What the links are told.
        #[serde(default)]
        reason: ByeReason,
    },
    /// Asks for one server's instances to be stopped; the next request starts them anew.
    RestartServer {
        /// Its name.
        server: String,
    },
    /// Asks the daemon to replace the token by a new one; answered by `rotated` or `error`.
    RotateToken,
    /// Asks the daemon to read the tokens that have names again; answered by `tokens_reloaded` or `error`.
    ReloadTokens,
    /// Asks why the clients of a server share its processes as they do; answered by `why` or `error`.
    Why {
        /// Its name.
        server: String,
    },
    /// Asks for a sign-in at a server that runs elsewhere; answered by `sign_in_begun`, and by `signed_in` when somebody has
    /// signed in, or by `error`.
    SignIn {
        /// Its name.
        server: String,
        /// The account there, if the server has several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Whether a person is to type a code on a page, instead of coming back with the browser.
        #[serde(default)]
        with_code: bool,
    },
    /// Asks for the sign-in that the npm package mcp-remote has kept of a server; answered by `sign_in_adopted` or `error`.
    AdoptSignIn {
        /// The server's name.
        server: String,
        /// The account there, if the server has several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Gives the daemon the address that a browser was to come back to; answered by `signed_in` or `error`.
    SignInPasted {
        /// The address, or the part behind its `?`.
        text: String,
    },
    /// Asks what a sign-in at a server would need; answered by `sign_in_plan` or `error`. Nothing is registered or kept.
    SignInPlan {
        /// Its name.
        server: String,
    },
    /// Asks the daemon to forget the tokens for a server; answered by `signed_out` or `error`.
    SignOut {
        /// Its name.
        server: String,
        /// The account there, if the server has several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Asks for all sign-ins; answered by `sign_ins` or `error`.
    SignIns,
    /// Asks the daemon to make room for a newer build. Only a new arrival asks this, never a link that comes back.
    /// Answered by `bye` with the reason `upgrade`, by `busy`, or by `error` when the build is not newer.
    Replace {
        /// The version of the program that wants to take its place.
        build: String,
    },
}

/// The state directory that a daemon serves. A process that looks for the daemon of another directory has come to the
/// wrong one, whatever file has led it to this socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedHome {
    /// Its canonical path.
    pub path: String,
    /// Device and inode, as the system of the daemon writes them; `None` where directories have none (Windows).
    pub id: Option<String>,
}

impl ServedHome {
    /// Whether both are the same directory: by path, or by device and inode where it was moved or is mounted
    /// elsewhere.
    pub fn is(&self, other: &ServedHome) -> bool {
        self.path == other.path || (self.id.is_some() && self.id == other.id)
    }
}

/// Control messages from the daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromDaemon {
    /// Always first, unless `refused` or `bye`.
    Hello {
        /// The link version both will speak.
        version: u32,
        /// The daemon's version.
        build: String,
        /// The daemon's nonce: which daemon this is.
        instance: String,
        /// Its process id.
        pid: u32,
        /// The state directory that it serves. Daemons of 0.1 did not say it from the beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<ServedHome>,
    },
    /// The daemon will not serve this peer.
    Refused {
        /// Why, as a sentence.
        reason: String,
    },
    /// Answers `status`.
    Status {
        /// The document.
        status: Box<Status>,
    },
    /// Answers `ps`.
    Ps {
        /// The document.
        ps: Box<Ps>,
    },
    /// Answers `servers`.
    Servers {
        /// The document.
        servers: Servers,
    },
    /// Answers `reload`: the configuration on disk is the one in force.
    Reloaded,
    /// Answers `restart_server`.
    Restarted {
        /// How many instances were stopped.
        instances: usize,
    },
    /// Answers `rotate_token`.
    Rotated,
    /// Answers `reload_tokens`: the tokens on disk are those in force.
    TokensReloaded {
        /// How many clients were disconnected, since the token that had let them in is gone.
        ended: usize,
    },
    /// Answers `why`.
    Why {
        /// The document.
        why: SharingExplanation,
    },
    /// Answers `sign_in`: a person is to open a page.
    SignInBegun {
        /// Its address.
        page: String,
        /// What the person is to type there, if a code was asked for.
        code: Option<String>,
        /// How long the page is good for, in seconds.
        lasts_s: u64,
        /// The file in which mcp-remote has kept a sign-in at this server, if nobody is signed in and there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
    },
    /// Answers `adopt_sign_in`: somebody is signed in now.
    SignInAdopted {
        /// The server.
        server: String,
        /// The file that the tokens come from.
        file: String,
        /// Whether the tokens were renewed, so that they are known to be good.
        renewed: bool,
        /// What a person should know: why they were not renewed, or when they end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// Why the sign-in is kept in a plain file, if it is; it reads after "since ".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plain_why: Option<String>,
    },
    /// Somebody has signed in.
    SignedIn {
        /// The server.
        server: String,
        /// Why the sign-in is kept in a plain file, if it is; it reads after "since ".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plain_why: Option<String>,
    },
    /// Answers `sign_in_plan`.
    SignInPlan {
        /// What it would need.
        plan: SignInPlan,
    },
    /// Answers `sign_out`.
    SignedOut {
        /// Whether there were tokens to forget.
        was_signed_in: bool,
    },
    /// Answers `sign_ins`.
    SignIns {
        /// The document.
        sign_ins: SignInDocuments,
    },
    /// Answers `replace`: calls are under way, and the daemon stays.
    Busy {
        /// How many.
        calls: usize,
    },
    /// Which of this link's tools may be called a second time when the answer to the first call was lost: trusted
    /// servers declare them read-only or idempotent. Replaces the tools that were named before; at first there are
    /// none.
    Repeatable {
        /// Their names as this client calls them.
        tools: Vec<String>,
    },
    /// The daemon will be replaced as soon as the requests under way are answered. Messages that are sent from here
    /// on may be lost with the link: keep them for the next daemon.
    Hold {
        /// Why.
        reason: ByeReason,
    },
    /// A control message could not be carried out.
    Error {
        /// Why, as a sentence.
        reason: String,
    },
    /// The daemon is about to close the link.
    Bye {
        /// Why.
        reason: ByeReason,
    },
}

/// Why a daemon closes a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    /// A person stopped the daemon: do not start it again unasked.
    #[default]
    Stop,
    /// It is being restarted: come back.
    Restart,
    /// A newer build takes over: come back.
    Upgrade,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_or_do_not() {
        let ours = Versions { min: 2, max: 4 };
        assert_eq!(ours.common(Versions { min: 1, max: 3 }), Some(3));
        assert_eq!(ours.common(Versions { min: 4, max: 9 }), Some(4));
        assert_eq!(ours.common(Versions { min: 5, max: 9 }), None);
    }

    #[test]
    fn a_home_is_known_by_its_path_or_by_what_it_is() {
        let home =
            |path: &str, id: Option<&str>| ServedHome { path: path.to_owned(), id: id.map(str::to_owned) };
        let ours = home("/a", Some("1:2"));
        assert!(ours.is(&home("/a", Some("1:3"))), "made anew under its daemon");
        assert!(ours.is(&home("/b", Some("1:2"))), "moved");
        assert!(!ours.is(&home("/b", Some("1:3"))));
        assert!(!home("/a", None).is(&home("/b", None)));
    }

    #[test]
    fn control_messages_keep_their_names() {
        let text =
            serde_json::to_string(&ToDaemon::Stop { timeout_ms: 5, reason: ByeReason::Restart }).unwrap();
        assert_eq!(text, r#"{"type":"stop","timeout_ms":5,"reason":"restart"}"#);
        assert!(serde_json::from_str::<ToDaemon>(r#"{"type":"status","later":1}"#).is_ok());
        let reload = ToDaemon::Reload { start: None };
        assert_eq!(serde_json::to_string(&reload).unwrap(), r#"{"type":"reload"}"#);
        assert_eq!(serde_json::from_str::<ToDaemon>(r#"{"type":"reload"}"#).unwrap(), reload);
        let servers = ToDaemon::Servers { client: None };
        assert_eq!(serde_json::to_string(&servers).unwrap(), r#"{"type":"servers"}"#);
        assert_eq!(serde_json::from_str::<ToDaemon>(r#"{"type":"servers"}"#).unwrap(), servers);
    }

    #[test]
    fn a_hello_for_one_server_or_all_is_what_older_builds_know() {
        let old = r#"{"versions":{"min":1,"max":1},"build":"0.1.0","role":"shim","pid":7,"server":null,"label":null}"#;
        let hello: Hello = serde_json::from_str(old).unwrap();
        assert_eq!((hello.servers.len(), &hello.directory), (0, &None));
        assert_eq!(serde_json::to_string(&hello).unwrap(), old);
        assert_eq!(Versions::OURS.common(hello.versions), Some(1));
        let newer = Hello { directory: Some("/a".to_owned()), ..hello };
        assert_eq!(serde_json::to_string(&newer).unwrap(), old.replace("null}", r#"null,"directory":"/a"}"#));
        // An older daemon refuses those who want several.
        assert_eq!(Versions { min: SEVERAL_SINCE, max: VERSION }.common(Versions { min: 1, max: 1 }), None);
    }
}
