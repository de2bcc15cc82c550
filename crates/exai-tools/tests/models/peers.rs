//! A real model server. It needs `cargo xtask peers`.

use exai_test::LlamaServer;
use exai_tools::models::request::{Finish, ModelMessage, ModelRequest, Role, Thinking};

use crate::scene::{Scene, failure, run};

#[test]
fn llama_cpp_answers_and_its_words_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let server = LlamaServer::start(dir.path());
    let scene = Scene::new(&format!(
        "[providers.local]\nbase_url = \"{}\"\ndialect = \"llamacpp\"\n",
        server.base_url()
    ));
    run(async {
        let model = scene.choose("auto").await.unwrap().remove(0);
        assert_eq!((&*model.name(), model.model.context), ("local/tiny", Some(16384)));
        let ask = |text: String| ModelRequest {
            system: "Be brief.".to_owned(),
            messages: vec![ModelMessage { role: Role::User, text, images: Vec::new() }],
            // The same words each time.
            temperature: Some(0.0),
            thinking: Some(Thinking::Minimal),
            max_output: Some(8),
        };
        let mut told = String::new();
        let mut hear = |progress: exai_tools::models::request::StreamProgress| told.push_str(&progress.text);
        let answer = scene.models.complete(&model, &ask("hi".to_owned()), &mut hear).await.unwrap();
        assert_eq!((&*answer.model, &answer.text), ("tiny", &told));
        let usage = answer.usage.unwrap();
        match answer.finish {
            Finish::Length => assert_eq!(usage.output, 8),
            finish => assert_eq!(finish, Finish::Complete),
        }
        assert!(usage.input > 10, "{usage:?}");

        let error = failure(scene.models.complete(&model, &ask("a".repeat(50_000)), &mut |_| {}).await);
        assert_eq!((error.fault.code(), error.may_have_cost), ("context_overflow", false), "{error}");
    });
}
