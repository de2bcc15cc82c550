use super::*;

/// What the first ring and `more` may cost in every conversation: about 3,000 tokens.
const BUDGET_BYTES: usize = 12_000;

fn all() -> Vec<Value> {
    tool_definitions(|_| true).into_iter().map(|definition| json!(definition)).collect()
}

fn of(name: &str) -> Value {
    all().into_iter().find(|definition| definition["name"] == name).unwrap()
}

#[test]
fn the_first_ring_fits_its_budget() {
    let tools = tool_definitions(|spec| spec.ring == Ring::First);
    assert_eq!(tools.len(), 11);
    let text = json!(tools).to_string();
    let each: Vec<String> =
        tools.iter().map(|tool| format!("{}: {}", tool.name, json!(tool).to_string().len())).collect();
    assert!(text.len() <= BUDGET_BYTES, "{} bytes: {}", text.len(), each.join(", "));
}

#[test]
fn the_required_fields_are_those_of_the_origin() {
    let steps = ["step", "step_number", "total_steps", "next_step_required"];
    let workflow = [&steps[..], &["findings"]].concat();
    let table: &[(&str, &[&str])] = &[
        ("chat", &["prompt"]),
        ("thinkdeep", &workflow),
        ("debug", &workflow),
        ("codereview", &workflow),
        ("analyze", &workflow),
        ("precommit", &workflow),
        ("refactor", &workflow),
        ("testgen", &workflow),
        ("secaudit", &workflow),
        ("planner", &steps),
        ("consensus", &steps),
        ("docgen", &[&steps[..], &["num_files_documented", "total_files_to_document"]].concat()),
        ("tracer", &[&workflow[..], &["trace_mode", "target_description"]].concat()),
        ("challenge", &["prompt"]),
        ("clink", &["prompt", "cli_name"]),
        ("more", &["reference"]),
        ("listmodels", &[]),
        ("status", &[]),
        ("threads", &[]),
    ];
    assert_eq!(table.len(), specs().len());
    for (name, fields) in table {
        let required = of(name)["inputSchema"]["required"].clone();
        let required: Vec<&str> =
            required.as_array().into_iter().flatten().map(|field| field.as_str().unwrap()).collect();
        assert_eq!(required, *fields, "{name}");
    }
}

#[test]
fn the_words_of_choices_are_those_of_the_origin() {
    let table: &[(&str, &str, &[&str])] = &[
        (
            "debug",
            "confidence",
            &["exploring", "low", "medium", "high", "very_high", "almost_certain", "certain"],
        ),
        ("debug", "thinking_mode", &["minimal", "low", "medium", "high", "max"]),
        ("analyze", "analysis_type", &["architecture", "performance", "security", "quality", "general"]),
        ("analyze", "output_format", &["summary", "detailed", "actionable"]),
        ("codereview", "review_type", &["full", "security", "performance", "quick"]),
        ("codereview", "severity_filter", &["critical", "high", "medium", "low", "all"]),
        ("refactor", "refactor_type", &["codesmells", "decompose", "modernize", "organization"]),
        ("secaudit", "threat_level", &["low", "medium", "high", "critical"]),
        (
            "secaudit",
            "audit_focus",
            &["owasp", "compliance", "infrastructure", "dependencies", "comprehensive"],
        ),
        ("tracer", "trace_mode", &["precision", "dependencies", "ask"]),
        ("clink", "cli_name", &["claude", "codex", "gemini"]),
    ];
    for (name, field, words) in table {
        assert_eq!(of(name)["inputSchema"]["properties"][field]["enum"], json!(words), "{name} {field}");
    }
    let stance = &of("consensus")["inputSchema"]["properties"]["models"]["items"]["properties"]["stance"];
    assert_eq!(stance["enum"], json!(["for", "against", "neutral"]));
}

#[test]
fn every_workflow_has_the_common_fields_of_the_origin() {
    let fields = [
        "files_checked",
        "relevant_files",
        "relevant_context",
        "issues_found",
        "confidence",
        "hypothesis",
        "backtrack_from_step",
        "use_assistant_model",
        "temperature",
        "thinking_mode",
        "continuation_id",
        "images",
        "model",
    ];
    for spec in specs().iter().filter(|spec| spec.kind == Kind::Workflow) {
        for field in fields {
            assert!(
                of(&spec.name)["inputSchema"]["properties"].get(field).is_some(),
                "{} {field}",
                spec.name
            );
        }
    }
}

#[test]
fn every_schema_is_a_schema_that_all_clients_take() {
    for definition in all() {
        for key in ["inputSchema", "outputSchema"] {
            assert_eq!(definition[key]["type"], "object", "{definition}");
            check_schema(&definition[key]);
        }
        let keys: Vec<&str> = definition.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["annotations", "description", "inputSchema", "name", "outputSchema", "title"]);
    }
}

/// Each schema has a type, lists say what is in them, and required properties exist.
fn check_schema(schema: &Value) {
    let known = ["type", "properties", "required", "items", "enum", "description", "minimum"];
    for key in schema.as_object().unwrap().keys() {
        assert!(known.contains(&key.as_str()), "{schema}");
    }
    match schema["type"].as_str().unwrap() {
        "object" => {
            for property in schema["properties"].as_object().into_iter().flatten() {
                check_schema(property.1);
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(schema["properties"].get(name.as_str().unwrap()).is_some(), "{schema}");
            }
        }
        "array" => check_schema(&schema["items"]),
        "string" | "boolean" | "integer" | "number" => {}
        other => panic!("{other}"),
    }
}

#[test]
fn annotations_are_true() {
    for definition in all() {
        let name = definition["name"].as_str().unwrap();
        let hints = &definition["annotations"];
        assert_eq!(hints["readOnlyHint"], name != "clink", "{name}");
        let is_open = tool(name).asks_model || ["status", "clink"].contains(&name);
        assert_eq!(hints["openWorldHint"], is_open, "{name}");
        if tool(name).asks_model {
            assert!(hints.get("idempotentHint").is_none(), "{name} costs something each time");
        }
    }
}
