//! A configuration in a directory of its own, and the models of it.

use std::future::Future;
use std::time::Duration;

use exai_config::secret_store::SecretStore;
use exai_config::{Config, Home};
use exai_test::model_endpoint::ModelEndpoint;
use exai_tools::models::error::{CallError, ModelError};
use exai_tools::models::request::{ModelAnswer, ModelMessage, ModelRequest, Role, StreamProgress};
use exai_tools::models::{Candidate, Models, ProviderModel};

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A configuration, and the models of it.
pub(crate) struct Scene {
    pub(crate) config: Config,
    pub(crate) models: Models,
}

impl Scene {
    /// With this `config.toml`, and the secret K.
    pub(crate) fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        exai_os::private::write_atomic(&home.config(), config.as_bytes()).unwrap();
        exai_os::private::write_atomic(&home.secrets(), b"K = \"sk-very-secret\"\n").unwrap();
        let mut config = exai_config::load(&home).unwrap();
        config.secrets = SecretStore::load(&home).unwrap();
        Scene { config, models: Models::new(Vec::new()) }
    }

    /// With the provider p at this endpoint, which has the key K and a model m, and these further lines.
    pub(crate) fn at(endpoint: &ModelEndpoint, lines: &str) -> Self {
        Scene::new(&provider(&endpoint.base_url(), lines))
    }

    /// The model m of the provider p.
    pub(crate) async fn model(&self) -> ProviderModel {
        self.choose("p/m").await.unwrap().remove(0)
    }

    /// The candidates for a name. The client is none of them.
    pub(crate) async fn choose(&self, wanted: &str) -> Result<Vec<ProviderModel>, ModelError> {
        let candidates = self.models.choose(wanted, &self.config).await?;
        let of_provider = |candidate| match candidate {
            Candidate::Provider(model) => Some(model),
            Candidate::Client => None,
        };
        Ok(candidates.into_iter().filter_map(of_provider).collect())
    }

    /// Asks the model m.
    pub(crate) async fn ask(&self) -> Result<ModelAnswer, ModelError> {
        self.ask_and_hear(|_| {}).await
    }

    /// Asks the model m, and hears how far its answer has come.
    pub(crate) async fn ask_and_hear(
        &self,
        mut hear: impl FnMut(StreamProgress) + Send,
    ) -> Result<ModelAnswer, ModelError> {
        let model = self.model().await;
        self.models.complete(&model, &request(), &mut hear).await
    }
}

/// The table of the provider p.
pub(crate) fn provider(base_url: &str, lines: &str) -> String {
    format!("[providers.p]\nbase_url = \"{base_url}\"\nkey = \"${{secret:K}}\"\nmodels = [\"m\"]\n{lines}\n")
}

pub(crate) fn request() -> ModelRequest {
    let message = ModelMessage { role: Role::User, text: "Where is the bug?".to_owned(), images: Vec::new() };
    ModelRequest { system: "Be brief.".to_owned(), messages: vec![message], ..ModelRequest::default() }
}

/// The failure of a call, with its checks: it shows no secret.
pub(crate) fn failure(answer: Result<ModelAnswer, ModelError>) -> CallError {
    let Err(ModelError::Call(error)) = answer else { panic!("{answer:?}") };
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("very-secret"), "{shown}");
    *error
}

/// Runs a test. It has one thread, as the tools server has.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}
