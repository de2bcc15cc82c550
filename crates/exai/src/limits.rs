//! Every bound of the commands: how long, how much, how many.

use std::time::Duration;

// Commands.

/// How long `exai stop` lets calls under way go on unless it is told otherwise, in seconds.
pub(crate) const STOP_GRACE_S: u64 = 10;
/// The longest such time that can be asked for, in seconds: a day.
pub(crate) const MAX_STOP_GRACE_S: u64 = 86_400;
/// How long what is left of a killed daemon's servers may take to end.
pub(crate) const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(6);
/// How long the daemon may take to answer a question.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long `exai cleanup` may take to end everything.
pub(crate) const CLEANUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long `exai token rotate` waits for a daemon that is just ending.
pub(crate) const OLD_TOKEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How many lines `exai logs` begins with.
pub(crate) const SHOWN_LOG_LINES: usize = 200;
/// How often `exai logs --follow` reads on.
pub(crate) const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);
/// How often `exai ps --watch` looks.
pub(crate) const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The longest block, file or list of variables that `exai add` reads.
pub(crate) const MAX_PASTED_BYTES: u64 = 16 * 1024 * 1024;
/// How long a change of a client's file waits for another one.
pub(crate) const INSTALLS_LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection to the registry of MCP servers, or to a place of bundles, may take to be made.
pub(crate) const FETCH_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an answer may lead to another place.
pub(crate) const MAX_REDIRECTS: u32 = 5;
/// How long the registry may take to answer.
pub(crate) const REGISTRY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer of the registry, in bytes.
pub(crate) const MAX_ANSWER_BYTES: u64 = 1024 * 1024;
/// How long a model server on this machine may take to list its models.
pub(crate) const LOCAL_MODELS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a bundle may take to be fetched.
pub(crate) const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(10);
/// A bundle that is not finished after this time is not being unpacked any more.
pub(crate) const ABANDONED_BUNDLE_AGE: Duration = Duration::from_hours(1);
/// How long `exai remove` waits until the processes of a server no longer use the files of its bundle.
pub(crate) const BUNDLE_RELEASE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often `exai remove` looks meanwhile.
pub(crate) const BUNDLE_RELEASE_INTERVAL: Duration = Duration::from_millis(50);
/// The longest `installs.json`, in bytes.
pub(crate) const MAX_INSTALLS_BYTES: u64 = 4 * 1024 * 1024;
/// How long `exai install` waits for the entry that it has written to answer.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long `exai add` waits for the tools of a new server: the first run of `npx` or `uvx` downloads.
pub(crate) const TRIAL_TIMEOUT: Duration = Duration::from_secs(150);
/// How many servers `exai import` and entries `exai install` tries at once: first runs of `npx` and `uvx` load the disk and the network.
pub(crate) const MAX_TRIALS_AT_ONCE: usize = 4;
/// How long `exai tools` waits for each server where it asks all of them: as long as a client of all servers waits. One
/// server that was asked for by its name is waited for.
pub(crate) const TOOLS_TIMEOUT: Duration = Duration::from_millis(1500);
/// With less free space than this a log or a record may not be written any more.
pub(crate) const SCARCE_DISK_BYTES: u64 = 100 << 20;
/// With less free space than this the disk counts as full.
pub(crate) const FULL_DISK_BYTES: u64 = 5 << 20;
/// Logs of more than this are a finding: thirty servers have less, with two files of 10 MiB for each server and the
/// daemon.
pub(crate) const LARGE_LOGS_BYTES: u64 = 700 << 20;
/// What the two pipes of one server take, each widened to 256 KiB.
pub(crate) const SERVER_PIPES_BYTES: u64 = 2 * 256 * 1024;
/// The longest record of a daemon or a tree that is read.
pub(crate) const MAX_RECORD_BYTES: u64 = 1024 * 1024;
/// How many records of trees are read.
pub(crate) const MAX_RECORDS: usize = 10_000;
/// A temporary file this old was left behind: as a rule it lives for milliseconds.
pub(crate) const STALE_TEMPORARY_AGE: Duration = Duration::from_mins(1);
/// How many entries of one directory are looked at.
pub(crate) const MAX_FILES: usize = 10_000;
/// A daemon without the lock that is older than this is a second one. A daemon that finds the lock taken tries for 2 s
/// and ends.
pub(crate) const SUCCESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one check of `exai doctor` may take. They are made side by side.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the first look of `exai doctor` may take: a daemon has 2 s for a hello, 2 s for its status, 1 s for its
/// processes.
pub(crate) const SCENE_TIMEOUT: Duration = Duration::from_secs(6);
/// A client that runs for this long after `exai install` has read its file, as a rule.
pub(crate) const RUNNING_CLIENT_GRACE: Duration = Duration::from_mins(5);
/// A client that has not connected for this long after `exai install` is a finding, whether it runs or not.
pub(crate) const INSTALLED_CLIENT_GRACE: Duration = Duration::from_hours(24);
/// How many parts of a list are shown.
pub(crate) const MAX_LISTED: usize = 6;
/// How many characters are shown of one part of a list.
pub(crate) const MAX_LISTED_CHARS: usize = 1000;

// The self-test.

/// How long the whole self-test may take. As a rule it takes a tenth of that.
pub(crate) const SELFTEST_TIMEOUT: Duration = Duration::from_mins(1);
/// How long one command may take.
pub(crate) const SELFTEST_COMMAND_TIMEOUT: Duration = Duration::from_secs(15);
/// The pause between two looks at a condition, at first.
pub(crate) const MIN_SELFTEST_PAUSE: Duration = Duration::from_millis(2);
/// The pause between two looks at a condition, at most.
pub(crate) const MAX_SELFTEST_PAUSE: Duration = Duration::from_millis(50);
/// How long an answer may take; a server may have to be started for it.
pub(crate) const SELFTEST_ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a shim may take to end after its stdin.
pub(crate) const SELFTEST_END_TIMEOUT: Duration = Duration::from_secs(2);
/// How many messages of a shim may wait to be read.
pub(crate) const MAX_SELFTEST_LINES: usize = 1024;
/// How often a client that waits for an answer looks whether the test was interrupted.
pub(crate) const SELFTEST_READ_INTERVAL: Duration = Duration::from_millis(100);
/// How long a client waits before it repeats a call.
pub(crate) const SELFTEST_RETRY_DELAY: Duration = Duration::from_millis(10);
/// How long a client repeats calls that are answered with honest errors.
pub(crate) const SELFTEST_RETRY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection to this machine may take. A port that nobody has answers at once.
pub(crate) const SELFTEST_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a daemon that lost the race may take to be gone.
pub(crate) const SELFTEST_LOSERS_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the trees of a killed daemon may live.
pub(crate) const SELFTEST_TREES_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a killed process may take to be gone.
pub(crate) const SELFTEST_GONE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stubborn server stays. Then it ends by itself.
pub(crate) const STUBBORN_STAY: Duration = Duration::from_mins(1);
/// After this time what a guard has begun to end is gone.
pub(crate) const SELFTEST_SETTLE_DELAY: Duration = Duration::from_millis(100);
/// How long the daemon may take to look at its trees again.
pub(crate) const SELFTEST_LOOK_TIMEOUT: Duration = Duration::from_secs(6);
/// How long the proof of the server's work may take. Without it the server is presumed.
pub(crate) const SELFTEST_PROOF_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the daemon may take to find out where to sign in: it asks several servers.
pub(crate) const SIGN_IN_BEGIN_TIMEOUT: Duration = Duration::from_mins(2);
/// How long it may take to forget a sign-in: a renewal that has begun ends first.
pub(crate) const SIGN_OUT_TIMEOUT: Duration = Duration::from_secs(75);
/// How long the daemon may take to find out what a sign-in would need. It has less time itself.
pub(crate) const SIGN_IN_PLAN_TIMEOUT: Duration = Duration::from_mins(1);
/// The longest address of a callback that is read from a person.
pub(crate) const MAX_RETURN_BYTES: u64 = 64 * 1024;
