use super::*;
use crate::models::request::Thinking;

fn arguments(name: &str, given: Value) -> Arguments {
    Arguments::parse(tool(name), &object(given)).unwrap()
}

#[test]
fn chat_asks_what_it_is_told() {
    let given = json!({
        "prompt": "Why?", "files": ["/a"], "images": ["/i.png"], "model": "glm-5", "temperature": 0,
        "thinking_mode": "low",
    });
    let request = chat_request(tool("chat"), &arguments("chat", given));
    assert_eq!(request.text(), "Why?");
    assert_eq!(request.files, ["/a"]);
    assert_eq!((request.temperature, request.thinking), (Some(0.0), Some(Thinking::Low)));
    assert_eq!(request.model.as_deref(), Some("glm-5"));
    let plain = chat_request(tool("chat"), &arguments("chat", json!({"prompt": "Why?"})));
    assert_eq!((plain.temperature, plain.thinking, plain.model), (None, None, None));
}

#[test]
fn chat_answers_and_offers_to_go_on() {
    let chat = tool("chat");
    let outcome = ExpertOutcome::Answered(model_answer("Because."));
    let alone = checked(chat, chat_answer(chat, &outcome, None));
    assert_eq!((&alone["status"], &alone["content"]), (&json!("success"), &json!("Because.")));
    assert_eq!(alone["content_type"], "markdown");
    assert_eq!(alone["metadata"]["model_used"], "glm-5");

    let offer = ContinuationOffer { continuation_id: "thread-1".to_owned(), remaining_turns: 49 };
    let offered = checked(chat, chat_answer(chat, &outcome, Some(&offer)));
    assert_eq!(offered["status"], "continuation_available");
    assert_eq!(offered["continuation_offer"]["continuation_id"], "thread-1");
    assert_eq!(offered["continuation_offer"]["remaining_turns"], 49);
    assert!(offered["continuation_offer"]["note"].as_str().unwrap().contains("49 more turns"));

    let failed = checked(chat, chat_answer(chat, &failure(), Some(&offer)));
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("error"), &json!("provider_unreachable"))
    );
    assert_eq!(failed["continuation_id"], "thread-1");

    let text = r#"{"status":"files_required_to_continue","files_needed":["/c"]}"#;
    let needs = checked(chat, chat_answer(chat, &ExpertOutcome::Answered(model_answer(text)), Some(&offer)));
    assert_eq!(
        (&needs["status"], &needs["content_type"]),
        (&json!("files_required_to_continue"), &json!("json"))
    );
}

#[test]
fn what_is_too_large_comes_with_numbers() {
    let answer = checked(tool("debug"), code_too_large(tool("debug"), "glm-5", 12, 90_000, 60_000));
    assert_eq!(answer["status"], "code_too_large");
    assert_eq!(
        (&answer["metadata"]["file_tokens"], &answer["metadata"]["limit_tokens"]),
        (&json!(90_000), &json!(60_000))
    );
    assert!(answer["content"].as_str().unwrap().contains("90000 tokens, and glm-5 has room for 60000"));
    for (name, field) in [("chat", "in files"), ("debug", "in relevant_files")] {
        let answer = checked(tool(name), resend_prompt(tool(name), 70_000, 60_000));
        assert_eq!(answer["status"], "resend_prompt");
        assert_eq!(answer["metadata"]["prompt_chars"], 70_000);
        assert!(answer["content"].as_str().unwrap().contains(field), "{answer}");
    }
}

#[test]
fn a_challenge_holds_the_statement() {
    let answer =
        challenge(tool("challenge"), &arguments("challenge", json!({"prompt": "Tabs are {prompt} better."})));
    assert_eq!(answer["status"], "success");
    assert!(answer["content"].as_str().unwrap().contains("\n\nTabs are {prompt} better.\n\n"));
}
