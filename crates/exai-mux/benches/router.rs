//! The cost of the router alone: one call and its answer.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exai_mux::policy::{Policy, Share, ToolFilter};
use exai_mux::{ClientId, ClientName, Effect, Endpoint, Era, Event, InstanceId, Router};
use exai_proto::Message;

fn message(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).expect("a message")
}

fn router() -> (Router, Instant, Vec<Effect>) {
    let (mut router, now, mut effects) = (Router::new(0), Instant::now(), Vec::new());
    let policy = Policy {
        name: "a".into(),
        revision: 1,
        share: Share::Auto,
        start_timeout: Duration::from_mins(1),
        call_timeout: Duration::from_mins(1),
        idle_stop: Duration::from_mins(1),
        eager: false,
        tools: ToolFilter::default(),
        one_at_a_time: false,
        crash_limit: 5,
        trusted: true,
        era: Some(Era::Legacy),
        bridge: false,
    };
    let client = ClientId(1);
    let instance = InstanceId(0);
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}"#;
    let initialized =
        r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}"#;
    for event in [
        Event::Configured { policies: vec![policy] },
        Event::Opened {
            client,
            endpoint: Endpoint::One("a".into()),
            name: ClientName::Nameless,
            directory: None,
            stateless: false,
        },
        Event::FromClient { client, message: message(initialize) },
        Event::Up { instance },
        Event::FromServer { instance, message: message(initialized) },
    ] {
        router.handle(event, now, &mut effects);
    }
    effects.clear();
    (router, now, effects)
}

/// Parses and routes a call, and parses and routes its answer: the daemon's work for a call, without system calls.
fn call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call");
    for (name, size) in [("100 B", 100), ("1 MiB", 1 << 20)] {
        let payload = "x".repeat(size);
        let request = Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{payload}"}}}}}}"#
        ));
        let (mut router, now, mut effects) = router();
        let mut number = 1_u64;
        group.throughput(Throughput::Bytes(2 * request.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                number += 1;
                let asked = Message::parse(black_box(&request).clone()).expect("a message");
                router.handle(Event::FromClient { client: ClientId(1), message: asked }, now, &mut effects);
                effects.clear();
                let answer = Bytes::from(format!(
                    r#"{{"jsonrpc":"2.0","id":{number},"result":{{"content":[{{"type":"text","text":"{payload}"}}]}}}}"#
                ));
                let answered = Message::parse(answer).expect("a message");
                router.handle(Event::FromServer { instance: InstanceId(0), message: answered }, now, &mut effects);
                assert_eq!(effects.len(), 1);
                effects.clear();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, call);
criterion_main!(benches);
