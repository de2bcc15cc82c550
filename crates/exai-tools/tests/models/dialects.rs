//! What each dialect says is understood.

use std::time::{Duration, Instant};

use exai_test::eventually;
use exai_test::model_endpoint::{ALL, ANSWER, End, ModelEndpoint, Reply, THOUGHT, recorded};
use exai_tools::models::request::{Finish, Usage};
use serde_json::json;

use crate::scene::{SOON, Scene, run};

#[test]
fn a_stream_of_each_dialect_is_an_answer() {
    run(async {
        for recorded in ALL {
            for bytes in [1, 50, 100_000] {
                let endpoint = ModelEndpoint::start(move |seen| match recorded.reply(seen) {
                    reply if seen.is_chat() => reply.in_pieces_of(bytes),
                    reply => reply,
                });
                let scene = Scene::at(&endpoint, &format!("dialect = \"{}\"", recorded.dialect));
                let (mut text, mut last) = (String::new(), None);
                let answer = scene.ask_and_hear(|progress| {
                    text.push_str(&progress.text);
                    last = Some(progress);
                });
                let answer = answer.await.unwrap();
                let last = last.unwrap();
                let name = recorded.dialect;
                assert_eq!((&*answer.text, &*text), (ANSWER, ANSWER), "{name}");
                assert_eq!(last.chars, ANSWER.chars().count(), "{name}");
                let thought_chars = if recorded.has_thoughts { THOUGHT.chars().count() } else { 0 };
                assert_eq!(last.thought_chars, thought_chars, "{name}");
                assert_eq!(answer.finish, Finish::Complete, "{name}");
                let (input, output) = recorded.usage;
                assert_eq!(answer.usage, Some(Usage { input, output }), "{name}");
                assert!(
                    recorded.stream.contains(&format!("\"{}\"", answer.model)),
                    "{name}: {}",
                    answer.model
                );
                assert_eq!(answer.provider, "p");
                // The endpoint notes that after the client has read it all.
                eventually("the answer is noted", SOON, || {
                    endpoint.chats().iter().all(|seen| seen.end != End::Open)
                });
                let [seen] = &endpoint.chats()[..] else { panic!("{name}") };
                assert_eq!((&*seen.path, seen.end), ("/v1/chat/completions", End::Sent), "{name}");
            }
        }
    });
}

#[test]
fn an_endpoint_gets_the_key_the_headers_and_the_body() {
    run(async {
        let endpoint = ModelEndpoint::of("glm");
        let lines = "dialect = \"glm\"\nheaders = { X-Team = \"a ${secret:K}\" }\nextra_body = { top_k = 3 }";
        Scene::at(&endpoint, lines).ask().await.unwrap();
        let seen = endpoint.chats().remove(0);
        assert_eq!(seen.header("authorization"), Some("Bearer sk-very-secret"));
        assert_eq!(seen.header("x-team"), Some("a sk-very-secret"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(
            seen.body,
            json!({"model": "m", "stream": true, "top_k": 3, "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Where is the bug?"},
            ]})
        );
    });
}

#[test]
fn a_completion_in_one_piece_is_an_answer() {
    run(async {
        let endpoint = ModelEndpoint::start(|_| {
            Reply::json(
                200,
                r#"{"model":"m2","choices":[{"message":{"content":"yes"},"finish_reason":"length"}]}"#,
            )
        });
        let answer = Scene::at(&endpoint, "").ask().await.unwrap();
        assert_eq!((&*answer.text, &*answer.model, answer.finish), ("yes", "m2", Finish::Length));
    });
}

/// `issue 14`, Speed: the first token of a stream is told within 10 ms.
#[test]
#[expect(clippy::print_stdout, reason = "the figure, with --no-capture")]
fn the_first_token_is_told_at_once() {
    run(async {
        let pause = Duration::from_millis(20);
        let endpoint = ModelEndpoint::start(move |seen| match recorded("openai").reply(seen) {
            reply if seen.is_chat() => reply.every(pause),
            reply => reply,
        });
        let scene = Scene::at(&endpoint, "");
        let mut delays = Vec::new();
        for _ in 0..10 {
            let mut first = None;
            let mut pieces = 0;
            let hear = |_| {
                first.get_or_insert_with(Instant::now);
                pieces += 1;
            };
            scene.ask_and_hear(hear).await.unwrap();
            let sent = endpoint.chats().last().unwrap().first_sent.unwrap();
            // The first piece has the role and no text; the second comes a pause later.
            delays.push(first.unwrap().duration_since(sent).saturating_sub(pause));
            assert_eq!(pieces, 6, "one for each piece that has text");
        }
        delays.sort_unstable();
        println!("the first token was told after {delays:?}");
        assert!(delays[delays.len() / 2] < Duration::from_millis(10), "{delays:?}");
        // A server may be closing the connection that it has just answered on, and a call that meets that may have cost.
        let requests = endpoint.requests().len();
        assert_eq!(endpoint.connections(), requests, "no connection is used again");
    });
}
