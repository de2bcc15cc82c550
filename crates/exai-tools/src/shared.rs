//! What all calls of a tools server share.

use std::sync::Arc;

use exai_config::{Config, environment};

use crate::jobs::Jobs;
use crate::models::Models;
use crate::settings::Settings;
use crate::threads::{ThreadError, ThreadStore};
use crate::workflow::Spec;

/// What all calls of a tools server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) models: Models,
    pub(crate) jobs: Jobs,
    threads: Arc<ThreadStore>,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Shared {
        Shared {
            models: Models::new(environment::of_this_process()),
            jobs: Jobs::default(),
            threads: Arc::new(ThreadStore::new(settings.home().clone())),
            settings,
        }
    }

    /// Does something with the threads, where it may block.
    pub(crate) async fn with_threads<T, F>(&self, work: F) -> Result<T, ThreadError>
    where
        T: Send + 'static,
        F: FnOnce(&ThreadStore) -> Result<T, ThreadError> + Send + 'static,
    {
        let threads = Arc::clone(&self.threads);
        blocking(move || work(&threads)).await
    }
}

/// Whether a tool is offered.
pub(crate) fn has_tool(config: &Config, spec: &Spec) -> bool {
    // Without `more` no long call could be read to its end.
    spec.name == "more" || config.ai.has_tool(&spec.name)
}

/// Runs what may block on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}
