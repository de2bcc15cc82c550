//! Lists of models, and what is chosen from them.

use std::time::{Duration, Instant};

use exai_test::model_endpoint::{ALL, ModelEndpoint, Reply};

use crate::scene::{Scene, run};

fn table(name: &str, endpoint: &ModelEndpoint, dialect: &str) -> String {
    format!("[providers.{name}]\nbase_url = \"{}\"\ndialect = \"{dialect}\"\n", endpoint.base_url())
}

#[test]
fn auto_takes_a_chat_model_of_each_dialect() {
    run(async {
        for (recorded, expected, context) in ALL
            .into_iter()
            .zip([
                ("gpt-4.1", None),
                ("glm-5", None),
                ("kimi-k3", Some(1_048_576)),
                ("z-ai/glm-5", Some(202_752)),
                ("qwen3:8b", Some(4096)),
                ("qwen/qwen3-8b", Some(8192)),
                ("Qwen/Qwen3-8B", Some(40_960)),
                ("qwen3-8b-q4.gguf", Some(40_960)),
                ("deepseek-chat", None),
            ])
            .map(|(recorded, (id, context))| (recorded, id, context))
        {
            let endpoint = ModelEndpoint::of(recorded.dialect);
            let scene = Scene::new(&table("p", &endpoint, recorded.dialect));
            let model = scene.choose("auto").await.unwrap().remove(0).model;
            assert_eq!((&*model.id, model.context), (expected, context), "{}", recorded.dialect);
            assert_eq!(endpoint.chats().len(), 0);
        }
    });
}

#[test]
fn lists_come_side_by_side_and_what_failed_is_said() {
    run(async {
        let good = ModelEndpoint::of("openrouter");
        let stuck: Vec<ModelEndpoint> = (0..3).map(|_| ModelEndpoint::start(|_| Reply::hang())).collect();
        let page = ModelEndpoint::start(|_| Reply::page(200, "<html>"));
        let mut text = table("good", &good, "openrouter") + &table("page", &page, "openai");
        for (number, endpoint) in stuck.iter().enumerate() {
            text += &table(&format!("stuck{number}"), endpoint, "openai");
        }
        let scene = Scene::new(&text);
        let start = Instant::now();
        let offers = scene.models.list(&scene.config).await;
        let took = start.elapsed();
        assert!((Duration::from_millis(2900)..Duration::from_secs(5)).contains(&took), "{took:?}");
        assert_eq!(offers[0].models[0].id, "z-ai/glm-5");
        let failures: Vec<String> =
            offers.iter().filter_map(|offer| offer.failure.as_ref()).map(ToString::to_string).collect();
        assert_eq!(failures.len(), 4);
        assert_eq!(failures[0], "page: a web page came in place of an answer: \"<html>\"");
        assert_eq!(failures[1], "stuck0: the answer was not complete within 3 s");

        // Both lists and failures are believed for a while.
        let start = Instant::now();
        assert_eq!(scene.models.list(&scene.config).await, offers);
        assert!(start.elapsed() < Duration::from_millis(500));
        assert_eq!((good.requests().len(), page.requests().len(), stuck[0].requests().len()), (1, 1, 1));
        // `auto` leaves out what offers nothing.
        assert_eq!(scene.choose("auto").await.unwrap().len(), 1);
    });
}

#[test]
fn another_key_is_another_list() {
    run(async {
        let endpoint = ModelEndpoint::of("openai");
        let mut scene = Scene::at(&endpoint, "");
        scene.models.list(&scene.config).await;
        scene.models.list(&scene.config).await;
        assert_eq!(endpoint.requests().len(), 1);
        scene.config.secrets = exai_config::secret_store::SecretStore::default();
        let offers = scene.models.list(&scene.config).await;
        assert!(offers[0].failure.as_ref().unwrap().to_string().contains("exai secret set K"), "{offers:?}");
        assert_eq!(endpoint.requests().len(), 1);
        // The models that the file names are offered all the same.
        assert_eq!(offers[0].models[0].id, "m");
    });
}
