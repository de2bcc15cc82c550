//! The tools that ask their client for something.

use serde_json::{Value, json};

use crate::call::{Call, Outcome, Question, work};
use crate::content::{said, text};

fn elicit(key: &'static str, message: &str, properties: Value) -> Question {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    Question {
        key,
        method: "elicitation/create",
        params: json!({"message": message, "requestedSchema": schema}),
    }
}

fn sample(key: &'static str, prompt: &str) -> Question {
    let message = json!({"role": "user", "content": text(prompt)});
    Question {
        key,
        method: "sampling/createMessage",
        params: json!({"messages": [message], "maxTokens": 100}),
    }
}

fn list_roots(key: &'static str) -> Question {
    Question { key, method: "roots/list", params: json!({}) }
}

fn ask_name(key: &'static str, message: &str) -> Question {
    elicit(key, message, json!({"name": {"type": "string"}}))
}

/// What a user has answered, in words.
fn completed(answer: &Value) -> Value {
    let words = format!("Elicitation completed: action={}, content={}", answer["action"], answer["content"]);
    said(&[text(&words)])
}

pub(crate) fn sampling(call: &Call) -> Outcome {
    let answer = call.ask(sample("sample", call.argument("prompt")))?;
    Ok(said(&[text(&format!("LLM response: {}", answer["content"]["text"]))]))
}

pub(crate) fn elicitation(call: &Call) -> Outcome {
    let properties = json!({
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    });
    let answer = call.ask(elicit("user", call.argument("message"), properties))?;
    Ok(said(&[text(&format!("User response: {answer}"))]))
}

pub(crate) fn defaults(call: &Call) -> Outcome {
    let properties = json!({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    });
    Ok(completed(&call.ask(elicit("person", "Please check what is known of you", properties))?))
}

pub(crate) fn enums(call: &Call) -> Outcome {
    let titled = |titles: [&str; 3]| {
        let choice = |(index, title)| json!({"const": format!("value{}", index + 1), "title": title});
        titles.into_iter().enumerate().map(choice).collect::<Vec<_>>()
    };
    let plain = json!(["option1", "option2", "option3"]);
    let properties = json!({
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled(["First Option", "Second Option", "Third Option"])},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": titled(["First Choice", "Second Choice", "Third Choice"])},
        },
    });
    Ok(completed(&call.ask(elicit("choices", "Please choose", properties))?))
}

pub(crate) fn streaming(call: &Call) -> Outcome {
    call.progress(0, 1);
    work();
    call.progress(1, 1);
    Ok(completed(&call.ask(ask_name("user_name", "What is your name?"))?))
}

pub(crate) fn name(call: &Call) -> Outcome {
    let answer = call.ask(ask_name("user_name", "What is your name?"))?;
    let name = answer["content"]["name"].as_str().unwrap_or("whoever you are");
    Ok(said(&[text(&format!("Hello, {name}!"))]))
}

pub(crate) fn capital(call: &Call) -> Outcome {
    let answer = call.ask(sample("capital_question", "What is the capital of France?"))?;
    Ok(said(&[answer["content"].clone()]))
}

/// The same, whether or not the client can.
pub(crate) fn capital_regardless(call: &Call) -> Outcome {
    let answer = call.ask_regardless(sample("capital_question", "What is the capital of France?"))?;
    Ok(said(&[answer["content"].clone()]))
}

pub(crate) fn roots(call: &Call) -> Outcome {
    let answer = call.ask(list_roots("client_roots"))?;
    Ok(said(&[text(&format!("The roots are {}", answer["roots"]))]))
}

pub(crate) fn with_state(call: &Call) -> Outcome {
    call.ask_with_state(elicit("confirm", "Please confirm", json!({"ok": {"type": "boolean"}})))?;
    Ok(said(&[text("state-ok")]))
}

pub(crate) fn three(call: &Call) -> Outcome {
    let questions = [
        ask_name("user_name", "What is your name?"),
        sample("greeting", "Generate a greeting"),
        list_roots("client_roots"),
    ];
    let answers = call.ask_all(&questions, true)?;
    Ok(said(&[text(&format!("The answers are {}", json!(answers)))]))
}

pub(crate) fn twice(call: &Call) -> Outcome {
    let name = call.ask_with_state(ask_name("step1", "Step 1: What is your name?"))?;
    let question =
        elicit("step2", "Step 2: What is your favorite color?", json!({"color": {"type": "string"}}));
    let color = call.ask_with_state(question)?;
    Ok(said(&[text(&format!("{} likes {}", name["content"]["name"], color["content"]["color"]))]))
}

pub(crate) fn what_it_can(call: &Call) -> Outcome {
    let all = [
        ("elicitation", ask_name("user_name", "What is your name?")),
        ("sampling", sample("greeting", "Generate a greeting")),
        ("roots", list_roots("client_roots")),
    ];
    let possible: Vec<Question> =
        all.into_iter().filter(|(name, _)| call.has_capability(name)).map(|(_, question)| question).collect();
    let answers = call.ask_all(&possible, false)?;
    Ok(said(&[text(&format!("The answers are {}", json!(answers)))]))
}
