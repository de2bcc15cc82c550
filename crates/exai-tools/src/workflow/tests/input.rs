use proptest::prelude::*;

use super::*;
use crate::explain::Explain;
use crate::workflow::limits::{MAX_ENTRY_BYTES, MAX_ISSUE_BYTES, MAX_LIST_ENTRIES, MAX_TEXT_BYTES};

fn error(name: &str, arguments: Value) -> BadInput {
    Arguments::parse(tool(name), &object(arguments)).unwrap_err()
}

/// The error of a step of `debug` in which one field is this.
fn step_error(field: &str, value: Value) -> String {
    let mut arguments = step_arguments(1, true, json!({}));
    arguments.insert(field.to_owned(), value);
    let error = Step::parse(tool("debug"), &arguments).unwrap_err();
    assert_eq!(error.code(), "invalid_arguments");
    assert!(error.hint().is_some());
    error.to_string()
}

#[test]
fn what_is_missing_is_named() {
    for spec in specs() {
        for field in spec.fields.iter().filter(|field| field.required) {
            let mut arguments = valid(spec);
            arguments.insert(field.name.clone(), Value::Null);
            let error = Arguments::parse(spec, &arguments).unwrap_err();
            assert!(
                matches!(&error, BadInput::Missing { field: name, .. } if *name == field.name),
                "{error}"
            );
            arguments.remove(&field.name);
            assert_eq!(Arguments::parse(spec, &arguments).unwrap_err(), error);
        }
        assert!(Arguments::parse(spec, &valid(spec)).is_ok(), "{}", spec.name);
    }
    let error = error("clink", json!({"prompt": "x"}));
    assert_eq!(error.to_string(), "`cli_name` is missing: `clink` needs `prompt` and `cli_name`.");
    assert_eq!(error.hint().unwrap(), "Call `clink` again, with `cli_name`.");
}

/// Arguments of a tool with what it requires.
fn valid(spec: &Spec) -> Map<String, Value> {
    let required = spec.fields.iter().filter(|field| field.required);
    let value = |field: &Field| match &field.kind {
        FieldKind::Text => json!("text"),
        FieldKind::Flag => json!(true),
        FieldKind::Integer { least, .. } => json!(least),
        FieldKind::Choice { values } => json!(values[0]),
        other => panic!("{other:?}"),
    };
    required.map(|field| (field.name.clone(), value(field))).collect()
}

#[test]
fn what_does_not_fit_is_named_with_what_is_allowed() {
    let table = [
        ("step", json!(7), "`step` is 7, and must be text."),
        ("step", json!(" "), "`step` is \" \", and must be text that is not empty."),
        ("step_number", json!(0), "`step_number` is 0, and must be a whole number from 1 to 1000."),
        ("step_number", json!(-1), "`step_number` is -1, and must be a whole number from 1 to 1000."),
        ("step_number", json!(1.5), "`step_number` is 1.5, and must be a whole number from 1 to 1000."),
        ("step_number", json!("two"), "`step_number` is \"two\", and must be a whole number from 1 to 1000."),
        ("total_steps", json!(1e300), "`total_steps` is 1e+300, and must be a whole number from 1 to 1000."),
        ("next_step_required", json!(1), "`next_step_required` is 1, and must be true or false."),
        ("findings", json!({}), "`findings` is an object, and must be text."),
        ("files_checked", json!(3), "`files_checked` is 3, and must be a list of at most 1000."),
        ("files_checked", json!(["a", 3]), "`files_checked[1]` is 3, and must be text."),
        (
            "confidence",
            json!("sure"),
            "`confidence` is \"sure\", and must be one of exploring, low, medium, high, very_high, almost_certain, certain.",
        ),
        ("temperature", json!(1.1), "`temperature` is 1.1, and must be a number from 0 to 1."),
        ("temperature", json!("NaN"), "`temperature` is \"NaN\", and must be a number from 0 to 1."),
        (
            "issues_found",
            json!([1]),
            "`issues_found[0]` is 1, and must be an object with severity and description.",
        ),
        (
            "use_assistant_model",
            json!([]),
            "`use_assistant_model` is a list of 0, and must be true or false.",
        ),
        (
            "backtrack_from_step",
            json!(0),
            "`backtrack_from_step` is 0, and must be a whole number from 1 to 1000.",
        ),
    ];
    for (field, value, expected) in table {
        assert_eq!(step_error(field, value), expected);
    }
}

#[test]
fn what_is_too_long_is_refused_and_not_repeated() {
    let long = "ä".repeat(MAX_TEXT_BYTES);
    assert!(step_error("step", json!(long)).contains("at most 1048576 bytes"));
    assert!(
        step_error("relevant_files", json!(["x".repeat(MAX_ENTRY_BYTES + 1)])).contains("4097 bytes long")
    );
    assert!(step_error("relevant_files", json!(vec!["x"; MAX_LIST_ENTRIES + 1])).contains("a list of 1001"));
    let issue = json!([{"description": "x".repeat(MAX_ISSUE_BYTES)}]);
    assert!(step_error("issues_found", issue).contains("at most 65536 bytes long"));
    for field in ["confidence", "step_number", "next_step_required"] {
        assert!(step_error(field, json!(long)).len() < 300, "{field}");
    }
    let fits = step_arguments(1, true, json!({"step": "x".repeat(MAX_TEXT_BYTES)}));
    assert!(Step::parse(tool("debug"), &fits).is_ok());
}

#[test]
fn what_is_plainly_meant_is_understood() {
    let given = step_arguments(
        1,
        true,
        json!({
            "step_number": "2",
            "total_steps": 4.0,
            "next_step_required": "False",
            "confidence": "Very High",
            "temperature": "0.5",
            "relevant_files": "/a",
            "relevant_context": "[\"f\", \"g\"]",
            "files_checked": ["/a", ""],
            "issues_found": ["it leaks"],
            "hypothesis": null,
            "use_websearch": true,
            "unknown": {"x": [1]},
        }),
    );
    let step = Step::parse(tool("debug"), &given).unwrap();
    assert_eq!((step.number, step.total, step.goes_on), (2, 4, false));
    assert_eq!(step.confidence(), Some(Confidence::VeryHigh));
    let arguments = step.arguments();
    assert_eq!(arguments.real("temperature"), Some(0.5));
    assert_eq!(arguments.texts("relevant_files").collect::<Vec<_>>(), ["/a"]);
    assert_eq!(arguments.texts("files_checked").collect::<Vec<_>>(), ["/a"]);
    assert_eq!(arguments.texts("relevant_context").collect::<Vec<_>>(), ["f", "g"]);
    assert_eq!(arguments.list("issues_found"), [json!({"description": "it leaks"})]);
    for field in ["hypothesis", "use_websearch", "unknown"] {
        assert!(arguments.as_json().get(field).is_none(), "{field}");
    }
}

#[test]
fn total_steps_is_never_less_than_step_number() {
    assert_eq!(step(tool("debug"), 7, true, json!({})).total, 7);
    assert_eq!(step(tool("debug"), 2, true, json!({})).total, 3);
}

#[test]
fn files_have_two_names() {
    for (name, own) in [("chat", "files"), ("clink", "absolute_file_paths")] {
        let given = json!({
            "prompt": "x", "cli_name": "codex",
            "files": ["/a", "/b"], "absolute_file_paths": ["/b", "/c"],
            "working_directory_absolute_path": "/w",
        });
        let arguments = Arguments::parse(tool(name), &object(given)).unwrap();
        let mut files: Vec<&str> = arguments.texts(own).collect();
        files.sort_unstable();
        assert_eq!(files, ["/a", "/b", "/c"], "{name}");
        let other = json!({"prompt": "x", "cli_name": "codex", "files": ["/a"]});
        let arguments = Arguments::parse(tool(name), &object(other)).unwrap();
        assert_eq!(arguments.texts(own).collect::<Vec<_>>(), ["/a"], "{name}");
    }
}

#[test]
fn a_tool_without_steps_says_so() {
    let error = Step::parse(tool("chat"), &object(json!({"prompt": "x"}))).unwrap_err();
    assert_eq!(error.to_string(), "`chat` has no steps.");
    assert_eq!(error.code(), "wrong_step");
}

/// Any small JSON value, often one that a field may have.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_u64..5).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        proptest::sample::select(vec!["certain", "for", "precision", "true", "3", "[\"a\"]", "{}"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("model|stance|severity|description", inner, 0..3)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever a client sends to whatever tool: an answer, a question for models, or an error, but no panic; and what was
    /// accepted once is accepted again when it comes from the thread.
    #[test]
    fn no_input_panics(values in proptest::collection::vec(any_value(), 40), which in 0..specs().len()) {
        let tool = &specs()[which];
        let given = valid(tool);
        let fields = tool.fields.iter().filter(|field| !field.required || field.name == "step_number");
        let other: Map<String, Value> = fields.map(|field| field.name.clone()).zip(values).collect();
        for given in [other.clone(), given.into_iter().chain(other).collect()] {
            let Ok(arguments) = Arguments::parse(tool, &given) else { continue };
            prop_assert_eq!(&Arguments::parse(tool, arguments.as_json()).unwrap(), &arguments);
            let Ok(step) = Step::parse(tool, &given) else { continue };
            let before = State::fold(tool, [step.arguments().as_json()]);
            for state in [State::default(), before] {
                if let Ok(Next::Answer(answer)) = advance(tool, &state, &step, &context()) {
                    checked(tool, answer);
                }
                finish(tool, &state, &step, &context(), &failure());
            }
        }
    }
}
