//! An application with the official Rust SDK, in each of its modes: through exai it sees what it sees directly.

#![expect(deprecated, reason = "the SDK deprecates what MCP does, and exai passes it on")]

#[cfg(unix)]
mod http;

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use exai_test::program;
use rmcp::model::{
    ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams, ElicitResult,
    ErrorData, ListRootsResult, ProgressNotificationParam, ProtocolVersion,
};
use rmcp::service::{NotificationContext, RequestContext, RunningService};
use rmcp::transport::IntoTransport;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT};

/// The steps that applications with the other SDKs take, too.
const SCENARIOS: &str = include_str!("../../../../tests/peers/scenarios/eras.json");

/// An application that answers questions, and notes the progress of its calls.
#[derive(Clone, Default)]
struct App {
    elicit: Value,
    progress: Arc<Mutex<Vec<Value>>>,
}

fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it fits")
}

fn to(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("it is JSON")
}

impl ClientHandler for App {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            from(json!({"sampling": {}, "elicitation": {}, "roots": {}})),
            from(json!({"name": "peer", "version": "1"})),
        )
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let content = json!({"type": "text", "text": "sampled"});
        Ok(from(json!({"role": "assistant", "content": content, "model": "fixed", "stopReason": "endTurn"})))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(from(json!({"roots": [{"uri": "file:///peers/root", "name": "root"}]})))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(from(self.elicit.clone()))
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().expect("no panic").push(json!([told.progress, told.total]));
    }
}

fn seen<T: Serialize>(outcome: Result<T, ServiceError>) -> Value {
    let mut value = match outcome {
        Ok(result) => to(result),
        Err(ServiceError::McpError(error)) => json!({"error": to(error)}),
        Err(other) => json!({"refused": other.to_string()}),
    };
    strip(&mut value);
    value
}

/// Takes away what differs on purpose.
fn strip(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.remove("ttlMs");
        members.remove("cacheScope");
        members.retain(|name, member| name != "_meta" || *member != json!({}));
    }
}

async fn take(service: &RunningService<RoleClient, App>, step: &Value) -> Option<Value> {
    let text = |key: &str| step[key].as_str();
    let arguments = step.get("arguments").cloned().unwrap_or_else(|| json!({}));
    if let Some(list) = text("list") {
        return Some(match list {
            "tools" => seen(service.list_all_tools().await),
            "prompts" => seen(service.list_all_prompts().await),
            "resources" => seen(service.list_all_resources().await),
            _ => seen(service.list_all_resource_templates().await),
        });
    }
    if let Some(uri) = text("read") {
        return Some(seen(service.read_resource(from(json!({"uri": uri}))).await));
    }
    if let Some(name) = text("prompt") {
        return Some(seen(service.get_prompt(from(json!({"name": name, "arguments": arguments}))).await));
    }
    let name = text("call")?;
    Some(seen(service.call_tool(from(json!({"name": name, "arguments": arguments}))).await))
}

/// All that an application sees of the server behind a command.
async fn look_over_stdio(command: Command, mode: ClientLifecycleMode) -> Value {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    look((child.stdout.take().expect("a pipe"), child.stdin.take().expect("a pipe")), mode).await
}

/// All that an application sees of a server.
async fn look<E, A>(transport: impl IntoTransport<RoleClient, E, A>, mode: ClientLifecycleMode) -> Value
where
    E: std::error::Error + Send + Sync + 'static,
{
    let scenarios: Value = serde_json::from_str(SCENARIOS).expect("JSON");
    let scenario = &scenarios["suite"];
    let app = App { elicit: scenario["elicit"].clone(), ..App::default() };
    let service = app.clone().serve_with_lifecycle(transport, mode).await.expect("it is served");
    let mut record = vec![service.peer_info().map_or(Value::Null, |info| to(&*info))];
    for step in scenario["steps"].as_array().into_iter().flatten() {
        if let Some(seen) = take(&service, step).await {
            record.push(json!({"step": step, "seen": seen}));
        }
    }
    record.push(json!({"progress": *app.progress.lock().expect("no panic")}));
    Value::Array(record)
}

fn direct(era: &str) -> Command {
    let mut command = Command::new(program("suite-server"));
    command.args(["--era", era]);
    command
}

fn hosting() -> Instance {
    let configured = |era: &str| {
        let command = json!(program("suite-server"));
        format!("[servers.{era}]\ncommand = {command}\nargs = [\"--era\", \"{era}\"]\n")
    };
    Instance::new(&["legacy", "dual", "modern"].map(configured).concat())
}

/// Compares what an application sees of each server in each mode with what it sees over `look_through`.
fn sees_the_same(look_through: impl AsyncFn(&str, ClientLifecycleMode) -> Value) {
    let preferred_versions = vec![from::<ProtocolVersion>(json!("2026-07-28"))];
    let discover = || ClientLifecycleMode::Discover { preferred_versions: preferred_versions.clone() };
    let auto =
        || ClientLifecycleMode::Auto { preferred_versions: preferred_versions.clone(), legacy_version: None };
    let initialize = || ClientLifecycleMode::Initialize;
    // The server, the one that is compared with, and the mode. What a legacy client sees of a modern server is what it
    // sees of a server that speaks both.
    let cells = [
        ("legacy", "legacy", initialize()),
        ("dual", "dual", initialize()),
        ("modern", "dual", initialize()),
        ("dual", "dual", discover()),
        ("modern", "modern", discover()),
        ("legacy", "legacy", auto()),
        ("dual", "dual", auto()),
        ("modern", "modern", auto()),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (hosted, compared, mode) in cells {
        let (expected, through) = runtime.block_on(async {
            tokio::time::timeout(LIMIT, async {
                let expected = look_over_stdio(direct(compared), mode.clone()).await;
                (expected, look_through(hosted, mode.clone()).await)
            })
            .await
            .expect("all is said in time")
        });
        let (expected, through) = (expected.as_array().expect("steps"), through.as_array().expect("steps"));
        assert_eq!(expected.len(), through.len());
        for (expected, through) in expected.iter().zip(through) {
            assert_eq!(expected, through, "{mode:?} at {hosted}");
        }
    }
}

#[test]
fn an_application_sees_the_same_through_exai_in_every_mode() {
    let instance = hosting();
    sees_the_same(async |server, mode| {
        look_over_stdio(instance.command(&["shim", "--server", server]), mode).await
    });
}
