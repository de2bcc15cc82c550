//! The MCP server over stdio: what it lists, and what happens to each call.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use exai_config::{ConfigError, Home};
use exai_proto::limits;
use futures_util::FutureExt as _;
use rmcp::model::{
    CallToolRequestMethod, CallToolRequestParams, CallToolResponse, ConstString as _, CustomRequest,
    CustomResult, DiscoverResult, ErrorCode, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{QuitReason, RequestContext, RoleServer, ServerInitializeError};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ServerHandler, ServiceExt as _};

use crate::call::{self, Broken, Call};
use crate::client::{Client, Hosting};
use crate::input::Input;
use crate::outcome::Outcome;
use crate::settings::Settings;
use crate::shared::{Shared, has_tool};
use crate::workflow::{self, Definition};

/// How long calls may take to note where they are when the server ends.
const END_GRACE: Duration = Duration::from_millis(800);

/// What the tools server is started with.
#[derive(Debug)]
pub struct Options {
    /// The state directory: `config.toml`, `secrets.toml` and `exai.db` are there.
    pub home: Home,
    /// Who hosts it.
    pub hosting: Hosting,
}

/// Why the tools server ended before its client did.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The runtime cannot be started.
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
    /// The environment is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The first messages are no beginning of MCP.
    #[error("the client did not begin with MCP: {0}")]
    Initialize(Box<ServerInitializeError>),
}

/// Serves MCP on stdin and stdout until stdin ends.
pub fn serve(options: Options) -> Result<(), ServeError> {
    let Options { home, hosting } = options;
    let shared = Arc::new(Shared::new(Settings::open(&home)?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let server = ToolsServer { shared: shared.clone(), hosting };
        let stopped = shared.jobs.stopped();
        let (stdin, stdout) = rmcp::transport::stdio_pipes();
        let transport = AsyncRwTransport::new_server(Input::new(stdin, stopped.clone()), stdout)
            .with_max_line_length(limits::MESSAGE_BYTES + 1);
        let running = match server.serve(transport).await {
            Ok(running) => running,
            // Whoever looks whether the program starts closes stdin at once.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(ServeError::Initialize(Box::new(error))),
        };
        let serving = async {
            if let Ok(QuitReason::JoinError(error)) | Err(error) = running.waiting().await {
                tracing::error!(%error, "the server ended");
            }
            shared.jobs.stop_all().await;
        };
        let overdue = async {
            stopped.cancelled().await;
            tokio::time::sleep(END_GRACE).await;
        };
        tokio::select! {
            () = serving => {}
            // Another process holds the database, or the client does not read what it is answered.
            () = overdue => {}
        }
        Ok(())
    });
    // A read of stdin that waits cannot be ended, and need not be.
    runtime.shutdown_background();
    served
}

#[derive(Debug, Clone)]
struct ToolsServer {
    shared: Arc<Shared>,
    hosting: Hosting,
}

impl ServerHandler for ToolsServer {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("exai-tools", env!("CARGO_PKG_VERSION"));
        info
    }

    /// The tools ask their client for its directories and for its model. In the modern era a server cannot ask.
    async fn discover(&self, _context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "Method not found: server/discover", None))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let config = self.shared.settings.now();
        let definitions = workflow::tool_definitions(|spec| has_tool(&config, spec));
        Ok(ListToolsResult::with_all_items(definitions.into_iter().map(describe).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let config = self.shared.settings.now();
        let spec = workflow::find(&request.name).filter(|spec| has_tool(&config, spec));
        let Some(spec) = spec else {
            return Err(ErrorData::invalid_params(format!("Unknown tool: {}", request.name), None));
        };
        let client = Arc::new(Client::of_call(&context, &self.hosting).await);
        let given = request.arguments.unwrap_or_default();
        let call = Call { shared: self.shared.clone(), config, client, spec, given, context };
        // rmcp does not answer a request whose handler panics.
        let answered = AssertUnwindSafe(call::run(&call)).catch_unwind().await;
        Ok(answered.unwrap_or_else(|_| Outcome::failure(&Broken)).into_result().into())
    }

    /// rmcp hands over here also what is named `tools/call` and is none.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if request.method == CallToolRequestMethod::VALUE {
            let params = request.params.unwrap_or_default();
            if let Err(error) = serde_json::from_value::<CallToolRequestParams>(params) {
                return Err(ErrorData::invalid_params(error.to_string(), None));
            }
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None))
    }
}

fn describe(definition: Definition) -> Tool {
    let Definition { name, title, description, input_schema, output_schema, annotations } = definition;
    let mut tool = Tool::new(name, description, Arc::new(input_schema));
    tool.title = Some(title.to_owned());
    tool.output_schema = Some(Arc::new(output_schema));
    let mut hints = ToolAnnotations::default();
    hints.read_only_hint = Some(annotations.read_only_hint);
    hints.idempotent_hint = annotations.idempotent_hint.then_some(true);
    hints.open_world_hint = Some(annotations.open_world_hint);
    tool.annotations = Some(hints);
    tool
}
