use super::*;
use crate::limits;
use proptest::prelude::*;

fn valid(text: &[u8]) -> bool {
    let at = skip_space(text, 0);
    check_value(text, at).is_ok_and(|end| skip_space(text, end) == text.len())
}

#[test]
fn the_numbers_of_python_are_none_of_json_and_are_skipped() {
    for text in ["NaN", "-Infinity", "[Infinity,{\"a\":NaN}]"] {
        assert!(!valid(text.as_bytes()), "{text}");
        assert_eq!(skip_value(text.as_bytes(), 0), Ok(text.len()));
    }
    for text in ["Nan", "-NaN", "Infinit", "[-Inf]", "+Infinity"] {
        assert!(skip_value(text.as_bytes(), 0).is_err(), "{text}");
    }
}

#[test]
fn keys_are_compared_by_what_they_say() {
    assert!(is_key(b"method", "method") && is_key(b"m\\u0065thod", "method"));
    assert!(is_key(b"\\u002f", "/") && is_key(b"\\/", "/"));
    assert!(!is_key(b"method\\u0073", "method") && !is_key(b"\\ud800", "x") && !is_key(b"Method", "method"));
    let text = br#"{"a\/b":1,"p\u0061rams":{"n":2}}"#;
    assert_eq!(find_path(text, 0..text.len(), &["params", "n"]).map(|at| &text[at]), Some(&b"2"[..]));
    assert_eq!(find(text, 0..text.len(), "a/b").map(|at| &text[at]), Some(&b"1"[..]));
}

#[test]
fn agrees_with_the_grammar() {
    let cases: [(&str, bool); 25] = [
        ("{}", true),
        (" [1, 2.5e-3 ,-0, \"a\\u00e9\\n\"] ", true),
        ("{\"a\":{\"b\":[{}]},\"c\":null}", true),
        ("true", true),
        ("\"\\ud800\"", true), // the grammar allows lone surrogates
        ("{\"a\":1,}", false),
        ("[1,]", false),
        ("[1 2]", false),
        ("{\"a\" 1}", false),
        ("{a:1}", false),
        ("01", false),
        ("1.", false),
        ("-", false),
        ("1e", false),
        ("+1", false),
        ("nul", false),
        ("\"\\x\"", false),
        ("\"\\u12g4\"", false),
        ("\"tab\tin a string\"", false),
        ("\"open", false),
        ("[", false),
        ("{\"a\":", false),
        ("[}", false),
        ("{]", false),
        ("", false),
    ];
    for (text, expected) in cases {
        assert_eq!(valid(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(valid(&nested(limits::DEPTH as usize)));
    let deeper = nested(limits::DEPTH as usize + 1);
    assert_eq!(check_value(&deeper, 0), Err(JsonError::TooDeep));
    assert_eq!(skip_value(&vec![b'['; 1_000_000], 0), Err(JsonError::TooDeep));
}

#[test]
fn finds_members_elements_and_replaces_them() {
    let text = br#"{ "a" : [1, "x", {"b":2}] , "_meta":{"progressToken":"t"} }"#;
    let whole = 0..text.len();
    let token = find_path(text, whole.clone(), &["_meta", "progressToken"]).unwrap();
    assert_eq!(&text[token.clone()], b"\"t\"");
    let array = find(text, whole.clone(), "a").unwrap();
    let parts: Vec<&[u8]> = elements(text, array.clone()).map(|part| &text[part]).collect();
    assert_eq!(parts, [&b"1"[..], b"\"x\"", b"{\"b\":2}"]);
    assert_eq!(find(text, whole, "b"), None);
    let edits = vec![Edit { at: token, with: b"7".to_vec() }, Edit { at: array, with: b"[]".to_vec() }];
    assert_eq!(splice(text, edits), br#"{ "a" : [] , "_meta":{"progressToken":7} }"#);
}

#[test]
fn keys_that_another_parser_could_take_for_a_known_one() {
    for key in ["requestId", "requestI\\u0064", "requestid", "REQUESTID", "reque\u{17f}tId"] {
        assert!(resembles(key.as_bytes(), "requestId"), "{key}");
    }
    assert!(resembles("progressTo\u{212a}en".as_bytes(), "progressToken"));
    for key in ["request", "requestIds", "request\\u0064", "\\ud800equestId", "request_id"] {
        assert!(!resembles(key.as_bytes(), "requestId"), "{key}");
    }
}

proptest! {
    /// Up to the depth limit, exactly the texts that serde_json accepts are accepted.
    #[test]
    fn judges_like_serde_json(text in "[\\[\\]{}:,\"\\\\ntruefalsen0-9eE.+ \u{1}é-]{0,24}") {
        let judged = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(valid(text.as_bytes()), judged, "{}", text);
    }

    /// Scanning any bytes never panics, and never reads past the end.
    #[test]
    fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(end) = skip_value(&bytes, 0) {
            prop_assert!(end <= bytes.len());
        }
        if let Ok(mut members) = Members::new(&bytes, 0) {
            while let Ok(Some(_)) = members.next_member() {}
        }
    }

    /// A long string with any content is skipped exactly to its end.
    #[test]
    fn long_strings(content in "[a-z\\\\\"\n\u{e9}]{0,300}") {
        let quoted = quote(&content);
        prop_assert_eq!(skip_value(quoted.as_bytes(), 0), Ok(quoted.len()));
        let decoded = string(quoted.as_bytes(), 0..quoted.len()).map(std::borrow::Cow::into_owned);
        prop_assert_eq!(decoded, Some(content));
    }
}
