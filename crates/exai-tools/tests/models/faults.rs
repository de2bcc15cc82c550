//! What goes wrong is told as what it is, and nothing is paid twice.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use exai_test::free_port;
use exai_test::model_endpoint::{ModelEndpoint, Reply, recorded};
use exai_tools::explain::Explain as _;
use exai_tools::models::Models;
use exai_tools::models::error::ModelError;

use crate::scene::{SOON, Scene, failure, provider, run};

/// The stream that is cut in the tests: its first four pieces hold a role and three texts.
fn stream() -> Reply {
    Reply::stream(recorded("openai").stream)
}

/// An endpoint that gives each chat this reply.
fn endpoint(reply: Reply) -> ModelEndpoint {
    ModelEndpoint::start(move |seen| if seen.is_chat() { reply.clone() } else { Reply::json(404, "{}") })
}

/// The limits under which a reply shows this fault: only what is to run into a limit has a short one.
fn limits(code: &str) -> &'static str {
    match code {
        "idle_timed_out" => "idle_timeout = \"300ms\"",
        "total_timed_out" => "total_timeout = \"900ms\"",
        _ => "",
    }
}

#[test]
fn each_fault_has_its_name_its_price_and_its_number_of_tries() {
    let json =
        |status, message: &str| Reply::json(status, &format!("{{\"error\":{{\"message\":\"{message}\"}}}}"));
    let page = "<!DOCTYPE html><title>sk-very-secret</title>";
    let broke = "data: {\"choices\":[{\"delta\":{\"content\":\"The\"}}]}\n\ndata: {\"error\":{\"code\":502,\"message\":\"gone\"}}\n\n";
    // The reply, the code, whether it may have cost something, and how often the endpoint was asked.
    let cases = [
        (Reply::hang(), "idle_timed_out", true, 1),
        (Reply::close(), "connection_lost", true, 1),
        (stream().hang_after(0), "idle_timed_out", true, 1),
        (stream().hang_after(4), "idle_timed_out", true, 1),
        (stream().every(Duration::from_millis(200)), "total_timed_out", true, 1),
        (stream().cut_after(0), "stream_cut", true, 1),
        (stream().cut_after(4), "stream_cut", true, 1),
        (Reply::stream(broke), "stream_failed", true, 1),
        (Reply::page(200, page), "nonsense", false, 1),
        (Reply::json(200, "{\"choices\":"), "nonsense", true, 1),
        (Reply::page(404, page), "no_endpoint", false, 1),
        (Reply::page(302, "").header("location", "http://127.0.0.1:1/v1"), "redirected", false, 1),
        (json(401, "Incorrect API key sk-very-secret"), "unauthorised", false, 1),
        (json(402, "Pay"), "no_credit", false, 1),
        (json(400, "maximum context length is 5"), "context_overflow", false, 1),
        (json(404, "The model does not exist"), "model_gone", false, 1),
        (json(429, "slow down").header("retry-after", "31"), "rate_limited", false, 1),
        (json(429, "exceeded your current quota"), "no_credit", false, 1),
        (json(504, "Gateway timeout"), "endpoint_failing", true, 1),
    ];
    run(async {
        for (reply, code, may_have_cost, tries) in cases {
            let endpoint = endpoint(reply.clone());
            let answer = Scene::at(&endpoint, limits(code)).ask().await;
            let error = failure(answer);
            let (told, name) = (ModelError::from(error.clone()), format!("{reply:?}: {error}"));
            assert_eq!((told.code(), told.may_have_cost()), (code, may_have_cost), "{name}");
            assert_eq!(endpoint.chats().len(), tries, "{name}");
            assert!(told.hint().is_some_and(|hint| !hint.is_empty()), "{name}");
        }
    });
}

#[test]
fn what_came_before_a_fault_is_not_lost() {
    run(async {
        // All four pieces must have come before it is given up.
        for (reply, limits) in
            [(stream().cut_after(4), ""), (stream().hang_after(4), "idle_timeout = \"1s\"")]
        {
            let error = failure(Scene::at(&endpoint(reply), limits).ask().await);
            assert_eq!(error.partial, "The lock is taken twice");
            assert!(error.to_string().ends_with("; 23 characters of the answer had come"), "{error}");
        }
    });
}

#[test]
fn failures_that_cost_nothing_are_tried_again() {
    run(async {
        for (status, after) in [(500, None), (503, None), (529, None), (429, None), (429, Some("1"))] {
            let refusal = Reply::json(status, "{\"error\":\"later\"}");
            let refusal = after.map_or(refusal.clone(), |after| refusal.header("retry-after", after));
            let endpoint =
                ModelEndpoint::start(move |seen| if seen.number < 4 { refusal.clone() } else { stream() });
            // The list of models is one of the requests.
            let start = Instant::now();
            assert!(Scene::at(&endpoint, "").ask().await.is_ok(), "{status}");
            assert_eq!(endpoint.chats().len(), 3, "{status}");
            assert!(after.is_none() || start.elapsed() > Duration::from_secs(2), "{status}");
        }
        let endpoint = endpoint(Reply::json(500, "{}"));
        assert_eq!(failure(Scene::at(&endpoint, "").ask().await).fault.code(), "endpoint_failing");
        assert_eq!(endpoint.chats().len(), 4, "the first try and 3 more");
    });
}

#[test]
fn an_endpoint_that_is_not_there_is_told_apart() {
    run(async {
        let port = free_port();
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let plain = endpoint(Reply::hang());
        let secure = plain.base_url().replace("http:", "https:");
        let hang_up = ModelEndpoint::start(|_| Reply::close());
        let talker = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let insecure = format!("https://{}/v1", talker.local_addr().unwrap());
        std::thread::spawn(move || {
            let greet = |mut stream: std::net::TcpStream| {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            };
            talker.incoming().flatten().for_each(greet);
        });
        for (base_url, code, sentence) in [
            (
                format!("http://127.0.0.1:{port}/v1"),
                "connection_refused",
                format!("p (m): nothing listens at 127.0.0.1:{port}"),
            ),
            (
                "http://no-such-host.invalid/v1".to_owned(),
                "host_not_found",
                "p (m): the host no-such-host.invalid has no address".to_owned(),
            ),
            (insecure, "tls_failed", "p (m): there is no trusted TLS connection to 127.0.0.1:".to_owned()),
            (secure, "tls_failed", "p (m): there is no trusted TLS connection to 127.0.0.1:".to_owned()),
            (
                format!("https://{}/v1", silent.local_addr().unwrap()),
                "connect_timed_out",
                "p (m): no connection was made within 0.3 s".to_owned(),
            ),
            (
                hang_up.base_url(),
                "connection_lost",
                "p (m): the connection ended before an answer came".to_owned(),
            ),
        ] {
            let scene = Scene::new(&provider(
                &base_url,
                if code == "connect_timed_out" { "connect_timeout = \"300ms\"" } else { "" },
            ));
            let error = failure(scene.ask().await);
            assert_eq!(error.fault.code(), code, "{base_url}: {error}");
            assert!(error.to_string().starts_with(&sentence), "{error}");
            assert_eq!(error.may_have_cost, code == "connection_lost", "{error}");
        }
    });
}

#[test]
fn a_key_that_is_not_kept_is_asked_for() {
    run(async {
        let endpoint = ModelEndpoint::of("openai");
        let config = provider(&endpoint.base_url(), "").replace("secret:K", "secret:NOPE");
        let error = failure(Scene::new(&config).ask().await);
        assert_eq!(error.fault.code(), "key_missing");
        assert!(error.to_string().contains("`exai secret set NOPE`"), "{error}");
        assert_eq!(endpoint.requests().len(), 0);
    });
}

#[test]
fn auto_goes_on_only_while_nothing_is_paid() {
    run(async {
        let gone = endpoint(Reply::json(404, "{\"error\":\"the model is gone\"}"));
        let cut = endpoint(stream().cut_after(3));
        let good = endpoint(stream());
        let table = |name: &str, endpoint: &ModelEndpoint| {
            format!("[providers.{name}]\nbase_url = \"{}\"\nmodels = [\"m\"]\n", endpoint.base_url())
        };
        let scene = Scene::new(&(table("a", &gone) + &table("b", &good)));
        let candidates = scene.choose("auto").await.unwrap();
        let answer = scene.models.complete_first(&candidates, &crate::scene::request(), &mut |_| {}).await;
        assert_eq!(answer.unwrap().provider, "b");

        let scene = Scene::new(&(table("a", &gone) + &table("b", &cut) + &table("c", &good)));
        let candidates = scene.choose("auto").await.unwrap();
        let answer = scene.models.complete_first(&candidates, &crate::scene::request(), &mut |_| {}).await;
        assert_eq!(failure(answer).provider, "b");
        assert_eq!(good.chats().len(), 1, "the one of the first part");

        let scene = Scene::new(&(table("a", &gone) + &table("b", &gone)));
        let candidates = scene.choose("auto").await.unwrap();
        let answer = scene.models.complete_first(&candidates, &crate::scene::request(), &mut |_| {}).await;
        let error = answer.unwrap_err();
        assert_eq!((error.code(), error.may_have_cost()), ("all_models_failed", false));
        assert!(error.to_string().contains("a (m): ") && error.to_string().contains("b (m): "), "{error}");
    });
}

/// A server that ends each connection once it has answered is no fault.
#[test]
fn a_connection_that_has_ended_is_not_used_again() {
    run(async {
        let endpoint = ModelEndpoint::start(|seen| {
            if seen.is_chat() { stream().cut_after(100) } else { Reply::json(404, "{}") }
        });
        let scene = Scene::at(&endpoint, "");
        for number in 1..=5 {
            assert!(scene.ask().await.is_ok(), "{number}");
        }
        assert!(tokio::time::timeout(SOON, scene.ask()).await.unwrap().is_ok());
        assert_eq!(endpoint.chats().len(), 6);
    });
}

/// A proxy is asked for a tunnel, and sees neither the key nor the request.
#[test]
fn a_proxy_gets_nothing_but_the_address() {
    run(async {
        let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://u:w@{}", proxy.local_addr().unwrap());
        let (hear, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in proxy.incoming().flatten() {
                let mut bytes = vec![0; 4096];
                let count = stream.read(&mut bytes).unwrap_or(0);
                let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
                let _ = hear.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            }
        });
        let lines = "connect_timeout = \"1s\"";
        let mut scene = Scene::new(&provider("https://far.invalid/v1", lines));
        scene.models = Models::new(vec![("HTTPS_PROXY".into(), address.into())]);
        let error = failure(scene.ask().await);
        let heard = heard.recv().unwrap();
        assert!(heard.starts_with("CONNECT far.invalid:443 HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("Basic dTp3") && !heard.contains("very-secret"), "{heard}");
        assert_eq!((error.fault.code(), error.may_have_cost), ("unreachable", false), "{error}");
        assert!(error.to_string().contains("the proxy 127.0.0.1:"), "{error}");
    });
}
