//! How much at once, how long, and what happens when nobody waits any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exai_test::eventually;
use exai_test::model_endpoint::{End, ModelEndpoint, Reply, recorded};
use futures_util::future::join_all;

use crate::scene::{SOON, Scene, failure, provider, run};

fn slow(pause: Duration) -> ModelEndpoint {
    ModelEndpoint::start(move |seen| match recorded("openai").reply(seen) {
        reply if seen.is_chat() => reply.every(pause),
        reply => reply,
    })
}

#[test]
fn no_more_calls_than_allowed_are_under_way() {
    run(async {
        let endpoint = slow(Duration::from_millis(2));
        let scene = Scene::at(&endpoint, "max_concurrency = 4");
        let answers = join_all((0..50).map(|_| scene.ask())).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!((endpoint.chats().len(), endpoint.most_at_once()), (50, 4));
        // The list was asked for once, though 50 callers wanted it.
        assert_eq!(endpoint.requests().len(), 51);
    });
}

#[test]
fn one_provider_does_not_wait_for_another() {
    run(async {
        let stuck = ModelEndpoint::start(|_| Reply::hang());
        let good = ModelEndpoint::of("openai");
        let q = provider(&good.base_url(), "").replace("providers.p", "providers.q");
        let scene = Scene::new(&(provider(&stuck.base_url(), "max_concurrency = 1") + &q));
        let many = join_all((0..50).map(|_| scene.ask()));
        let other = async {
            let model = scene.choose("q/m").await.unwrap().remove(0);
            scene.models.complete(&model, &crate::scene::request(), &mut |_| {}).await
        };
        tokio::select! {
            _ = many => panic!("the first provider hangs"),
            answer = tokio::time::timeout(SOON, other) => assert!(answer.unwrap().is_ok()),
        }
    });
}

#[test]
fn a_change_of_the_bound_takes_effect() {
    run(async {
        let endpoint = slow(Duration::from_millis(10));
        let mut scene = Scene::at(&endpoint, "max_concurrency = 1");
        join_all((0..3).map(|_| scene.ask())).await;
        assert_eq!(endpoint.most_at_once(), 1);
        scene.config.providers[0].max_concurrency = 3;
        join_all((0..6).map(|_| scene.ask())).await;
        assert_eq!(endpoint.most_at_once(), 3);
    });
}

#[test]
fn who_waits_for_a_place_in_vain_is_told() {
    run(async {
        let endpoint =
            ModelEndpoint::start(|seen| if seen.is_chat() { Reply::hang() } else { Reply::json(404, "{}") });
        let scene =
            Scene::at(&endpoint, "max_concurrency = 1\nidle_timeout = \"5s\"\ntotal_timeout = \"400ms\"");
        let answers = join_all((0..3).map(|_| scene.ask())).await;
        let mut codes: Vec<_> =
            answers.into_iter().map(failure).map(|error| (error.fault.code(), error.may_have_cost)).collect();
        codes.sort_unstable();
        // The second one may get its place just before its time is up.
        assert!(
            codes.contains(&("provider_busy", false)) && codes.contains(&("total_timed_out", true)),
            "{codes:?}"
        );
    });
}

#[test]
fn a_call_that_is_dropped_ends_its_stream_and_frees_its_place() {
    run(async {
        // Before the head, within the stream, and while nothing more comes.
        for reply in [Reply::hang(), Reply::stream(recorded("openai").stream).hang_after(3)] {
            let has_begun = matches!(reply, ref reply if *reply != Reply::hang());
            let endpoint =
                ModelEndpoint::start(
                    move |seen| if seen.is_chat() { reply.clone() } else { Reply::json(404, "{}") },
                );
            let scene = Scene::at(&endpoint, "max_concurrency = 1");
            let heard = AtomicBool::new(false);
            let call = scene.ask_and_hear(|_| heard.store(true, Ordering::Relaxed));
            let begun = async {
                let is_under_way =
                    || !endpoint.chats().is_empty() && (!has_begun || heard.load(Ordering::Relaxed));
                while !is_under_way() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::select! {
                answer = call => panic!("{answer:?}"),
                () = begun => {}
            }
            let dropped = Instant::now();
            // The task of the connection needs a turn to close it.
            while endpoint.chats()[0].end == End::Open && dropped.elapsed() < SOON {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(endpoint.chats()[0].end, End::CutByClient);
            let next = scene.ask();
            tokio::select! {
                answer = next => panic!("{answer:?}"),
                () = async { while endpoint.chats().len() < 2 { tokio::time::sleep(Duration::from_millis(1)).await; } } => {}
            }
        }
    });
}

#[test]
fn the_endpoint_is_not_touched_before_it_is_asked() {
    let endpoint = ModelEndpoint::of("openai");
    let scene = Scene::at(&endpoint, "");
    assert!(format!("{:?}", scene.models).len() > 1);
    assert_eq!(endpoint.connections(), 0);
    run(async {
        scene.ask().await.unwrap();
    });
    eventually("the chat is in the ledger", SOON, || endpoint.chats().len() == 1);
}
