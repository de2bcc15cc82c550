use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{Config, ai};

fn parse(text: &str) -> Config {
    Config::from_text(Path::new("config.toml"), text, None).unwrap_or_else(|error| panic!("{error}"))
}

fn complaint(text: &str) -> String {
    Config::from_text(Path::new("config.toml"), text, None).expect_err(text).to_string()
}

/// Every key.
const FULL: &str = r#"
[providers.GLM]
base_url = "https://example.com/api/paas/v4/"
key = "hunter2${secret:GLM}"
dialect = "glm"
models = ["glm-5", "glm-5-air"]
headers = { X-Team = "${env:TEAM}hunter2" }
max_concurrency = 64
connect_timeout = "5s"
idle_timeout = "1m"
total_timeout = "1h"
omit = ["temperature"]
rename = { max_tokens = "max_completion_tokens" }
extra_body = { thinking = { type = "enabled" }, n = [1, 1.5, true] }
[providers.local]
base_url = "http://127.0.0.1:11434/v1"
[models.fast]
provider = "glm"
id = "glm-5-air"
context = 128000
max_output = 8192
vision = false
thinking = true
[models."glm-4.6:x"]
provider = "gone"
id = "z-ai/glm"
[ai]
models = ["fast", "glm/glm-5", "client"]
extra_tools = ["refactor"]
disabled_tools = ["chat"]
directories = ["~/src", "~"]
max_paid_calls = 7
keep_threads = "30d"
"#;

#[test]
fn every_key_is_read() {
    let config = parse(FULL);
    let glm = config.find_provider("glm").unwrap();
    assert_eq!((glm.name.as_str(), glm.base_url.as_str()), ("GLM", "https://example.com/api/paas/v4"));
    assert_eq!((glm.dialect, glm.max_concurrency), (Dialect::Glm, 64));
    assert_eq!(glm.models, ["glm-5", "glm-5-air"]);
    let seconds = [glm.connect_timeout, glm.idle_timeout, glm.total_timeout].map(|span| span.as_secs());
    assert_eq!(seconds, [5, 60, 3600]);
    assert!(glm.omit.contains("temperature"));
    assert_eq!(glm.rename["max_tokens"], "max_completion_tokens");
    assert_eq!(
        serde_json::Value::Object(glm.extra_body.clone()),
        json!({"thinking": {"type": "enabled"}, "n": [1, 1.5, true]})
    );
    let local = config.find_provider("local").unwrap();
    assert_eq!((local.dialect, local.max_concurrency, &local.key), (Dialect::Ollama, 4, &None));
    let seconds = [local.connect_timeout, local.idle_timeout, local.total_timeout].map(|span| span.as_secs());
    assert_eq!(seconds, [10, 120, 900]);
    let fast = config.find_model("Fast").unwrap();
    assert_eq!((fast.provider.as_str(), fast.id.as_str()), ("glm", "glm-5-air"));
    assert_eq!((fast.context, fast.max_output), (Some(128_000), Some(8192)));
    assert_eq!((fast.vision, fast.thinking), (Some(false), Some(true)));
    assert_eq!(config.find_model("glm-4.6:x").unwrap().vision, None);
    assert_eq!(config.ai.models, ["fast", "glm/glm-5", "client"]);
    assert_eq!((config.ai.max_paid_calls, config.ai.keep_threads), (7, Duration::from_hours(720)));
    assert!(config.ai.has_tool("refactor") && config.ai.has_tool("debug"));
    assert!(!config.ai.has_tool("chat") && !config.ai.has_tool("clink") && !config.ai.has_tool("x"));
    let home = Path::new("home");
    assert_eq!(config.ai.resolve_directories(home), [home.join("src"), home.to_owned()]);
    assert_eq!(parse("").ai, ai::AiSettings::default());
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn key_and_headers_are_resolved_at_use_and_never_shown() {
    let config = parse(FULL);
    let glm = config.find_provider("GLM").unwrap();
    assert_eq!(glm.find_secrets().into_iter().collect::<Vec<_>>(), ["GLM"]);
    let mut secrets = SecretStore::default();
    let vars = [("TEAM".into(), "t".into())];
    assert_eq!(
        glm.resolve(&vars, &secrets).unwrap_err().to_string(),
        "the secret GLM is not kept (used in providers.GLM.key); `exai secret set GLM` asks for it"
    );
    secrets.values.insert("GLM".to_owned(), Secret::new("4711"));
    assert_eq!(
        glm.resolve(&[], &secrets).unwrap_err().to_string(),
        "the environment variable TEAM is not set (used in providers.GLM.headers.X-Team)"
    );
    let credentials = glm.resolve(&vars, &secrets).unwrap();
    assert_eq!(credentials.key.as_ref().unwrap().expose(), "hunter24711");
    assert_eq!(credentials.headers[0].1.expose(), "thunter2");
    assert!(!format!("{credentials:?}").contains("hunter2"));
}

#[test]
fn what_makes_no_sense_is_refused_at_its_place() {
    let provider = |keys: &str| complaint(&format!("[providers.a]\nbase_url = \"https://x\"\n{keys}\n"));
    for (keys, sentence) in [
        ("url = \"x\"", "3:1: unknown field `url`"),
        ("key = 4711", "3:7: this value must be text in quotes"),
        ("key = \" \"", "3:7: `key` is empty"),
        ("dialect = \"gml\"", "3:11: there is no such `dialect`; there are: auto, openai, glm,"),
        ("models = [\"\"]", "3:11: `models` holds an empty text"),
        ("models = [\"a\\u001b\"]", "3:11: `models` holds a control character"),
        ("headers = { \"a b\" = \"x\" }", "3:13: this is no name of a header"),
        ("headers = { A = 4711 }", "3:17: this value must be text in quotes"),
        ("max_concurrency = 0", "3:19: `max_concurrency` is a number from 1 to 64"),
        ("max_concurrency = 65", "3:19: `max_concurrency` is a number from 1 to 64"),
        ("connect_timeout = \"0s\"", "3:19: `connect_timeout` must be longer than nothing"),
        ("idle_timeout = \"25h\"", "3:16: `idle_timeout` is 24 hours at most"),
        ("total_timeout = 5", "3:17: a length of time is written like"),
        ("total_timeout = \"1 month\"", "3:17: a length of time is written like"),
        ("omit = [\"messages\"]", "3:9: exai itself writes the member `messages`"),
        ("rename = { model = \"x\" }", "3:12: exai itself writes the member `model`"),
        ("rename = { x = \"\" }", "3:16: `rename` holds an empty text"),
        ("extra_body = { stream = false }", "3:14: exai itself writes the member `stream`"),
        ("extra_body = { a = [1979-05-27] }", "3:14: `extra_body` becomes JSON, which has no dates"),
        ("extra_body = { a = inf }", "3:14: `extra_body` becomes JSON, which has no dates"),
    ] {
        let said = provider(keys);
        assert!(said.starts_with(&format!("config.toml:{sentence}")) && !said.contains("4711"), "{said}");
    }
    for (url, sentence) in [
        ("ftp://x", "a `base_url` starts with http:// or https://"),
        ("wss://x", "a `base_url` starts with http:// or https://"),
        ("${env:URL}", "a `base_url` starts with http:// or https://"),
        ("https://", "this `base_url` names no host"),
        ("https://[::1", "this `base_url` names no host"),
        ("http://x:70000/v1", "the port in this `base_url` is no number up to 65535"),
        ("https://me:4711@x/v1", "credentials do not belong into a `base_url`; use `headers`"),
        ("https://x/v1?key=4711", "a `base_url` has no query: use `headers` or `extra_body`"),
    ] {
        let said = complaint(&format!("[providers.a]\nbase_url = \"{url}\"\n"));
        assert_eq!(said, format!("config.toml:2:12: {sentence}"), "{url}");
    }
    for (text, sentence) in [
        ("[providers.a]", "1:12: a provider needs a `base_url`"),
        ("[providers.a__b]", "1:12: the provider name `a__b` contains `__`"),
        (
            "[providers.a]\nbase_url = \"https://x\"\n[providers.A]\nbase_url = \"https://x\"",
            "3:12: the provider names `a` and `A` differ in case only",
        ),
        ("[models.a]\nid = \"x\"", "1:9: a model needs a `provider` and an `id`"),
        ("[models.auto]", "1:9: no model can be called `auto`"),
        ("[models.\"a/b\"]", "1:9: the name of a model has 1 to 64 characters"),
        ("[models.a]\nprovider = \"\"\nid = \"x\"", "2:12: `provider` holds an empty text"),
        ("[models.a]\nprovider = \"x\"\nid = \"x\"\ncontext = 0", "4:11: `context` is a number from 1"),
        ("[models.a]\nsize = 1", "2:1: unknown field `size`"),
        ("[ai]\nmodel = \"x\"", "2:1: unknown field `model`"),
        ("[ai]\nextra_tools = [\"chat\"]", "2:16: `extra_tools` does not know this tool; it knows: refactor"),
        ("[ai]\ndisabled_tools = [\"clink\"]", "2:19: `disabled_tools` does not know this tool"),
        ("[ai]\ndirectories = [\"src\"]", "2:16: a directory in `directories` is a whole path"),
        ("[ai]\nmax_paid_calls = 0", "2:18: `max_paid_calls` is a number from 1"),
        ("[ai]\nkeep_threads = \"11y\"", "2:16: a length of time is written like"),
        ("[ai]\nkeep_threads = \"4000d\"", "2:16: `keep_threads` is 3650 days at most"),
    ] {
        let said = complaint(&format!("{text}\n"));
        assert!(said.starts_with(&format!("config.toml:{sentence}")), "{said}");
    }
}

#[test]
fn the_address_tells_the_dialect() {
    for (url, dialect) in [
        ("https://api.z.ai/api/paas/v4", Dialect::Glm),
        ("https://open.bigmodel.cn/api/paas/v4", Dialect::Glm),
        ("https://api.moonshot.cn/v1", Dialect::Kimi),
        ("https://OpenRouter.ai/api/v1", Dialect::OpenRouter),
        ("https://api.deepseek.com", Dialect::DeepSeek),
        ("https://api.openai.com/v1", Dialect::OpenAi),
        ("https://notz.ai.example.com", Dialect::OpenAi),
        ("https://xz.ai", Dialect::OpenAi),
        ("http://localhost:11434/v1", Dialect::Ollama),
        ("http://[::1]:1234/v1", Dialect::LmStudio),
        ("http://10.0.0.1:8000/v1", Dialect::Vllm),
        ("http://127.0.0.1:8080/v1", Dialect::LlamaCpp),
        ("http://127.0.0.1:9/v1", Dialect::OpenAi),
    ] {
        for choice in ["", "dialect = \"auto\""] {
            let config = parse(&format!("[providers.a]\nbase_url = \"{url}\"\n{choice}\n"));
            assert_eq!(config.providers[0].dialect, dialect, "{url}");
        }
    }
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::parse(dialect.name()), Some(dialect));
    }
}

#[test]
fn a_key_may_cross_a_network_only_encrypted() {
    for (url, is_clear) in [
        ("http://127.0.0.1:1/v1", false),
        ("http://127.9.9.9/v1", false),
        ("http://LOCALHOST:1/v1", false),
        ("http://[::1]:1/v1", false),
        ("https://example.com", false),
        ("http://example.com", true),
        ("http://127.0.0.1.example.com", true),
        ("http://10.0.0.1:8000/v1", true),
    ] {
        let config = parse(&format!("[providers.a]\nbase_url = \"{url}\"\n"));
        assert_eq!(config.providers[0].is_clear_text(), is_clear, "{url}");
    }
}

#[test]
fn secrets_of_providers_are_in_use_and_the_server_of_the_tools_is_known() {
    let server = "[servers.x]\ncommand = \"x\"\nenv = { A = \"${secret:A}\" }\n";
    let config = parse(&format!("{server}{FULL}"));
    assert_eq!(config.find_secrets().into_iter().collect::<Vec<_>>(), ["A", "GLM"]);
    assert_eq!(config.find_tools_server(), None);
    let config = parse("[servers.x]\ncommand = \"/bin/exai\"\nargs = [\"tools-server\"]\n");
    assert_eq!(config.find_tools_server(), Some("x"));
}
