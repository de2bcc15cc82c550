//! A client on a link without the process of a shim, so that one test can have hundreds of clients.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use exai_client::link::{Incoming, Link, LinkError};
use exai_proto::documents::DaemonRecord;
use exai_proto::link::Role;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT};

/// A link that has sent its `hello` and `initialize`.
pub(crate) struct Wire(Link);

impl Wire {
    /// The address of this instance's daemon.
    pub(crate) fn address(instance: &Instance) -> String {
        let record = std::fs::read(instance.home().join("daemon.json")).expect("a record");
        let record: DaemonRecord = serde_json::from_slice(&record).expect("a record");
        record.local_address().expect("a local socket").to_owned()
    }

    /// Opens a client of one server, or of all servers.
    pub(crate) fn open(address: &str, server: Option<&str>) -> Self {
        // A thousand links at once would overfill the queue of the socket.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let mut hello = exai_client::hello(Role::Shim);
        hello.server = server.map(ToOwned::to_owned);
        let endpoint = address.parse().expect("an address");
        let turn = ONE_AT_A_TIME.lock();
        let link = Link::open(&endpoint, &hello, Instant::now() + LIMIT).expect("a link");
        drop(turn);
        let mut wire = Wire(link);
        wire.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": opening()}));
        let introduced = wire.receive();
        assert!(introduced["result"].is_object(), "{introduced}");
        wire
    }

    pub(crate) fn send(&self, message: &Value) {
        self.try_send(message).expect("the daemon reads");
    }

    pub(crate) fn try_send(&self, message: &Value) -> Result<(), LinkError> {
        self.0.send_message(message.to_string().as_bytes())
    }

    pub(crate) fn call(&self, id: &Value, tool: &str, arguments: &Value) {
        self.send(&call(id, tool, arguments));
    }

    /// The next message.
    pub(crate) fn receive(&mut self) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        self.receive_before(deadline).expect("a message within a minute").expect("a message within a minute")
    }

    /// The next message; `None` if none comes before the deadline.
    pub(crate) fn receive_before(&mut self, deadline: Instant) -> Result<Option<Value>, LinkError> {
        loop {
            match self.0.next_before(Some(deadline)) {
                Ok(Incoming::Message(bytes)) => return Ok(serde_json::from_slice(&bytes).ok()),
                Ok(Incoming::Control(_)) => {}
                Err(LinkError::TimedOut) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The answer to the request with this id. Messages before it are dropped.
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        loop {
            let message = self.receive();
            if message.get("method").is_none() && message["id"] == *id {
                return message;
            }
        }
    }
}

/// The parameters of `initialize`.
pub(crate) fn opening() -> Value {
    json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}})
}

/// A `tools/call` request.
pub(crate) fn call(id: &Value, tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}
