use axum::http::{HeaderName, HeaderValue};
use exai_proto::answer;
use exai_proto::{Id, Message};

use super::*;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// The headers of a request.
type Given<'a> = &'a [(&'a str, &'a str)];

fn message(text: &str) -> Message {
    Message::parse(text.to_owned().into()).expect("a message")
}

/// A request. `params` is what stands before `_meta`.
fn request(method: &str, params: &str) -> Message {
    message(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{META}}}}}"#))
}

fn headers(all: Given<'_>) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    };
    let mut map = HeaderMap::new();
    for (name, value) in all.iter().map(pair) {
        map.append(name, value);
    }
    map
}

#[test]
fn the_body_says_the_era_and_where_it_does_not_the_header() {
    let none = headers(&[]);
    let header = |version| headers(&[("MCP-Protocol-Version", version)]);
    let bare = |method| message(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#));
    assert!(
        is_modern(&none, &request("tools/list", ""))
            && is_modern(&header("2025-11-25"), &request("ping", ""))
    );
    assert!(
        is_modern(&header("2026-07-28"), &bare("tools/list"))
            && is_modern(&header("2027-01-01"), &bare("ping"))
    );
    for legacy in [&none, &header("2025-11-25"), &header("v999"), &headers(&[(VERSION, "2026-07-28"); 2])] {
        assert!(!is_modern(legacy, &bare("tools/list")), "{legacy:?}");
    }
    assert!(!is_modern(&header("2026-07-28"), &bare("initialize")), "it begins a session");
    assert!(is_modern(&header("2026-07-28"), &message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)));
}

#[test]
fn a_request_is_refused_unless_its_headers_say_what_its_body_says() {
    let version = ("MCP-Protocol-Version", "2026-07-28");
    let call = ("Mcp-Method", "tools/call");
    let named = r#""name":"a tool","#;
    let base64 = "=?base64?w6TDpA==?=";
    let literal = "=?base64?PT9iYXNlNjQ/eD89?=";
    let cases: &[(&str, &str, Given<'_>, Option<&str>)] = &[
        ("tools/list", "", &[version, ("mcp-method", "tools/list")], None),
        ("tools/list", "", &[version, ("MCP-METHOD", "tools/list"), ("Mcp-Name", "x")], None),
        ("tools/list", "", &[("mcp-method", "tools/list")], Some(VERSION)),
        (
            "tools/list",
            "",
            &[("MCP-Protocol-Version", "2025-11-25"), ("mcp-method", "tools/list")],
            Some(VERSION),
        ),
        ("tools/list", "", &[version, version, ("mcp-method", "tools/list")], Some(VERSION)),
        ("tools/list", "", &[version], Some(METHOD)),
        ("tools/list", "", &[version, ("mcp-method", "TOOLS/LIST")], Some(METHOD)),
        ("tools/list", "", &[version, ("mcp-method", "=?base64?dG9vbHMvbGlzdA==?=")], Some(METHOD)),
        ("tools/call", named, &[version, call, ("mcp-name", "a tool")], None),
        ("tools/call", named, &[version, call], Some(NAME)),
        ("tools/call", named, &[version, call, ("mcp-name", "A tool")], Some(NAME)),
        ("tools/call", named, &[version, call, ("mcp-name", "a tool"), ("mcp-name", "a tool")], Some(NAME)),
        ("tools/call", r#""name":"ää","#, &[version, call, ("mcp-name", base64)], None),
        ("tools/call", r#""name":"ää","#, &[version, call, ("mcp-name", "ää")], Some(NAME)),
        ("tools/call", r#""name":"=?base64?x?=","#, &[version, call, ("mcp-name", literal)], None),
        (
            "tools/call",
            r#""name":"=?base64?x?=","#,
            &[version, call, ("mcp-name", "=?base64?x?=")],
            Some(NAME),
        ),
        ("tools/call", r#""name":"a","#, &[version, call, ("mcp-name", "=?base64?/w==?=")], Some(NAME)),
        ("tools/call", r#""name":"a","#, &[version, call, ("mcp-name", "=?base64?YQ?=")], Some(NAME)),
        ("tools/call", r#""name":7,"#, &[version, call], None),
        ("prompts/get", r#""name":"p","#, &[version, ("mcp-method", "prompts/get"), ("mcp-name", "p")], None),
        ("prompts/get", r#""name":"p","#, &[version, ("mcp-method", "prompts/get")], Some(NAME)),
        (
            "resources/read",
            r#""uri":"a:b","#,
            &[version, ("mcp-method", "resources/read"), ("mcp-name", "a:b")],
            None,
        ),
        ("resources/read", r#""uri":"a:b","#, &[version, ("mcp-method", "resources/read")], Some(NAME)),
        ("tasks/get", r#""taskId":"7","#, &[version, ("mcp-method", "tasks/get"), ("mcp-name", "7")], None),
        (
            "tasks/get",
            r#""taskId":"7","#,
            &[version, ("mcp-method", "tasks/get"), ("mcp-name", "8")],
            Some(NAME),
        ),
    ];
    for (method, params, given, wrong) in cases {
        let checked = check_request(&headers(given), &request(method, params));
        match (checked, wrong) {
            (Ok(()), None) => {}
            (Err(refusal), Some(header)) => {
                assert_eq!(refusal.code, -32020, "{method} {params} {given:?}");
                assert!(refusal.text.contains(header), "{method} {params} {given:?}: {}", refusal.text);
            }
            (checked, _) => panic!("{method} {params} {given:?}: {checked:?}"),
        }
    }
}

#[test]
fn a_request_without_a_version_in_its_body_lacks_a_parameter() {
    let given = headers(&[("MCP-Protocol-Version", "2026-07-28")]);
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","name":"b"}}"#,
    ] {
        assert_eq!(
            check_request(&given, &message(text)).map_err(|refusal| refusal.code),
            Err(-32602),
            "{text}"
        );
        assert!(!has_whole_meta(&message(text)));
    }
    assert!(has_whole_meta(&request("x", "")));
}

#[test]
fn the_arguments_that_a_schema_marks_are_repeated() {
    let repeated = |name: &str, path: &[&str]| ParameterHeader {
        name: name.to_owned(),
        path: path.iter().map(|key| (*key).to_owned()).collect(),
    };
    let schema =
        [repeated("Region", &["region"]), repeated("Count", &["in", "n"]), repeated("Dry", &["dry"])];
    let cases: &[(&str, Given<'_>, bool)] = &[
        (r#"{"region":"eu"}"#, &[("Mcp-Param-Region", "eu")], true),
        (r#"{"region":"eu"}"#, &[("mcp-param-region", "=?base64?ZXU=?=")], true),
        (r#"{"region":"eu"}"#, &[("Mcp-Param-Region", "eu"), ("Mcp-Param-Other", "x")], true),
        (r#"{"region":"eu"}"#, &[("Mcp-Param-Region", "us")], false),
        (r#"{"region":"eu"}"#, &[("Mcp-Param-Other", "eu")], false),
        (r#"{"region":null}"#, &[], true),
        (r#"{"region":{}}"#, &[], true),
        (r#"{"region":null}"#, &[("Mcp-Param-Region", "null")], false),
        ("{}", &[], true),
        ("{}", &[("Mcp-Param-Region", "eu")], false),
        (r#"{"in":{"n":42}}"#, &[("Mcp-Param-Count", "42")], true),
        (r#"{"in":{"n":42}}"#, &[("Mcp-Param-Count", "42.0")], true),
        (r#"{"in":{"n":42}}"#, &[("Mcp-Param-Count", "43")], false),
        (r#"{"in":{"n":"42"}}"#, &[("Mcp-Param-Count", "42.0")], false),
        (r#"{"dry":true}"#, &[("Mcp-Param-Dry", "true")], true),
        (r#"{"dry":true}"#, &[("Mcp-Param-Dry", "True")], false),
        // The server could read the other one.
        (r#"{"region":"eu","region":"us"}"#, &[("Mcp-Param-Region", "eu")], false),
        (r#"{"region":"eu","Region":"us"}"#, &[("Mcp-Param-Region", "eu")], false),
        (r#"{"in":{"n":42},"in":{"n":1}}"#, &[("Mcp-Param-Count", "42")], false),
    ];
    for (arguments, given, is_right) in cases {
        let call = request("tools/call", &format!(r#""name":"t","arguments":{arguments},"#));
        let checked = check_arguments(&headers(given), &call, &schema);
        assert_eq!(checked.is_ok(), *is_right, "{arguments} {given:?}: {checked:?}");
    }
}

#[test]
fn the_status_follows_the_code() {
    let id = Id::number(1);
    let of = |text: &str, whole| status(&bytes::Bytes::from(text.to_owned()).into(), whole).as_u16();
    let error = |code, whole| status(&answer::error(&id, code, "\"error\"").into(), whole).as_u16();
    assert_eq!(error(-32601, true), 404);
    for code in [-32600, -32700, -32020, -32021, -32022] {
        assert_eq!(error(code, true), 400, "{code}");
    }
    for code in [-32602, -32603, -32000, -31002, -31003, 1] {
        assert_eq!(error(code, true), 200, "{code}");
    }
    assert_eq!(error(-32602, false), 400);
    assert_eq!(of(r#"{ "error": {"message":"x","code":-32601}, "id":1,"jsonrpc":"2.0"}"#, true), 404);
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"error":{"code":-32601}},"error":{"code":-32601}}"#;
    assert_eq!((of(result, true), of("{}", true), of("", true)), (200, 200, 200));
}
