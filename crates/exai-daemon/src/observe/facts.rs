//! What the hub knows, copied for the documents.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use exai_config::Config;
use exai_mux::view::{ClientView, ServerView};
use exai_mux::{ClientId, ClientName, InstanceId};
use exai_proto::documents::ServerState;

use crate::observe::process_monitor::ProcessMonitor;
use crate::state::daemon_info::DaemonInfo;
use crate::state::holder::Holder;

/// The name of the built-in server.
pub const BUILTIN_NAME: &str = "exai";

/// Output of one server that is no message of MCP.
#[derive(Debug, Clone)]
pub(crate) struct GarbledOutput {
    /// The last run that printed such output.
    pub(crate) instance: InstanceId,
    pub(crate) id: String,
    pub(crate) times: u64,
    /// The first of it; reads after "the server".
    pub(crate) first: String,
}

/// What is known of a client's connection.
#[derive(Debug, Clone)]
pub(crate) struct ClientFacts {
    pub(crate) transport: &'static str,
    pub(crate) label: Option<String>,
    pub(crate) shim_pid: Option<u32>,
    /// The directory in which the client has started its shim, or the command line was started.
    pub(crate) directory: Option<Arc<str>>,
    pub(crate) connected_at: jiff::Timestamp,
    /// Whose token has let it in.
    pub(crate) holder: Holder,
    /// False for the command line, which is no client.
    pub(crate) shown: bool,
    /// Whether this is a connection over which HTTP requests of the modern era come, and no lasting conversation.
    pub(crate) stateless: bool,
}

impl ClientFacts {
    /// The name by which the configuration knows the client.
    pub(crate) fn name(&self) -> ClientName {
        match &self.label {
            Some(label) => ClientName::Label(label.as_str().into()),
            None if self.shown => ClientName::Program,
            None => ClientName::Nameless,
        }
    }

    /// Whether the client stays for more than one request or one command: the log tells of it then.
    pub(crate) fn lasts(&self) -> bool {
        self.shown && !self.stateless
    }

    /// Whether the client is a shim on its private link.
    pub(crate) fn is_shim(&self) -> bool {
        self.transport == "shim" && self.shown
    }
}

/// What is known of an instance's process.
#[derive(Debug, Clone)]
pub(crate) struct InstanceFacts {
    pub(crate) id: InstanceId,
    pub(crate) server: Arc<str>,
    pub(crate) number: u32,
    pub(crate) started_at: jiff::Timestamp,
    pub(crate) restarts: u32,
    pub(crate) root_pid: Option<u32>,
    /// The state where the hub knows better than the router.
    pub(crate) state: Option<ServerState>,
}

/// Everything that the hub knows and a document needs.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) daemon: Arc<DaemonInfo>,
    pub(crate) stopping: bool,
    /// The configuration in force.
    pub(crate) config: Arc<Config>,
    pub(crate) clients: HashMap<ClientId, ClientFacts>,
    /// The process of each HTTP session that ends with its process.
    pub(crate) session_processes: HashMap<ClientId, u32>,
    pub(crate) router_clients: Vec<ClientView>,
    pub(crate) servers: Vec<ServerView>,
    pub(crate) instances: Vec<InstanceFacts>,
    /// The servers that are known to speak the HTTP+SSE transport.
    pub(crate) sse_servers: BTreeSet<String>,
    /// Bad output, by server.
    pub(crate) garbles: BTreeMap<Arc<str>, GarbledOutput>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) monitor: ProcessMonitor,
}

impl Facts {
    /// The connected shims: pid, and the id of the client.
    pub(crate) fn shims(&self) -> Vec<(u32, String)> {
        let shown = self.clients.iter().filter(|(_, facts)| facts.shown);
        let mut shims: Vec<(u32, String)> =
            shown.filter_map(|(id, facts)| Some((facts.shim_pid?, id.to_string()))).collect();
        shims.sort();
        shims
    }
}
