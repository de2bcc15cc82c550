//! The body of a request, as the dialect of a provider wants it.

use exai_config::Provider;
use serde_json::{Map, Value, json};

use super::candidate::KnownModel;
use super::dialect::{Quirks, ThinkingMember};
use super::request::{ModelMessage, ModelRequest, Role};

/// The body of a request to a model. The answer is always asked for as a stream.
pub(crate) fn body_of(provider: &Provider, model: &KnownModel, request: &ModelRequest) -> Map<String, Value> {
    let quirks = Quirks::of(provider.dialect, &model.id);
    let mut body = Map::new();
    let mut add = |name: &str, value: Value| {
        if !provider.omit.contains(name) {
            let name = provider.rename.get(name).map_or(name, String::as_str);
            body.insert(name.to_owned(), value);
        }
    };
    add("model", json!(model.id));
    add("messages", messages_of(request));
    add("stream", json!(true));
    if quirks.has_stream_options {
        add("stream_options", json!({"include_usage": true}));
    }
    if let Some(temperature) = request.temperature.filter(|_| !quirks.has_fixed_sampling) {
        add("temperature", json!(temperature));
    }
    if let Some(most) = request.max_output.map(u64::from) {
        add(quirks.max_output, json!(model.max_output.map_or(most, |bound| bound.min(most))));
    }
    let thinking = match (model.thinking, quirks.thinking) {
        (Some(false), _) => ThinkingMember::None,
        // Whoever says so in `[models.NAME]` knows more than the table.
        (Some(true), ThinkingMember::None) => ThinkingMember::USUAL_EFFORT,
        (_, usual) => usual,
    };
    if let Some((name, value)) = request.thinking.and_then(|asked| thinking.member(asked)) {
        add(name, value);
    }
    body.extend(provider.extra_body.clone());
    body
}

fn messages_of(request: &ModelRequest) -> Value {
    let system = (!request.system.is_empty()).then(|| json!({"role": "system", "content": request.system}));
    system.into_iter().chain(request.messages.iter().map(message_of)).collect()
}

fn message_of(message: &ModelMessage) -> Value {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    if message.images.is_empty() {
        // A list of parts would be equal, but some endpoints take texts alone.
        return json!({"role": role, "content": message.text});
    }
    let image = |image: &super::request::Image| {
        let url = format!("data:{};base64,{}", image.media_type, image.base64);
        json!({"type": "image_url", "image_url": {"url": url}})
    };
    let text = (!message.text.is_empty()).then(|| json!({"type": "text", "text": message.text}));
    let parts: Vec<Value> = text.into_iter().chain(message.images.iter().map(image)).collect();
    json!({"role": role, "content": parts})
}

#[cfg(test)]
mod tests {
    use exai_config::Dialect;

    use super::super::request::{Image, Thinking};
    use super::super::samples::provider;
    use super::*;

    fn request() -> ModelRequest {
        let message = |role, text: &str| ModelMessage { role, text: text.to_owned(), images: Vec::new() };
        ModelRequest {
            system: "Be brief.".to_owned(),
            messages: vec![message(Role::User, "a"), message(Role::Assistant, "b"), message(Role::User, "c")],
            temperature: Some(0.5),
            thinking: Some(Thinking::Low),
            max_output: Some(100),
        }
    }

    fn body(dialect: Dialect, model: &str) -> Value {
        let provider = Provider { dialect, ..provider("p", "http://127.0.0.1:1/v1") };
        let mut body = body_of(&provider, &KnownModel::new(model), &request());
        assert_eq!(body.remove("model"), Some(json!(model)));
        assert_eq!(body.remove("stream"), Some(json!(true)));
        let messages = json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ]);
        assert_eq!(body.remove("messages"), Some(messages));
        Value::Object(body)
    }

    #[test]
    fn each_dialect_gets_what_it_takes() {
        let usage = json!({"include_usage": true});
        for (dialect, model, expected) in [
            (
                Dialect::OpenAi,
                "gpt-4.1",
                json!({"temperature": 0.5, "max_tokens": 100, "stream_options": usage}),
            ),
            (
                Dialect::OpenAi,
                "gpt-5",
                json!({"max_completion_tokens": 100, "stream_options": usage, "reasoning_effort": "low"}),
            ),
            (
                Dialect::Glm,
                "glm-5",
                json!({"temperature": 0.5, "max_tokens": 100, "thinking": {"type": "enabled"}}),
            ),
            (
                Dialect::Kimi,
                "kimi-k3",
                json!({"max_completion_tokens": 100, "stream_options": usage, "reasoning_effort": "low"}),
            ),
            (
                Dialect::OpenRouter,
                "z-ai/glm-5",
                json!({"temperature": 0.5, "max_tokens": 100, "stream_options": usage, "reasoning": {"effort": "low"}}),
            ),
            (
                Dialect::Ollama,
                "qwen3",
                json!({"temperature": 0.5, "max_tokens": 100, "stream_options": usage}),
            ),
            (
                Dialect::LmStudio,
                "qwen3",
                json!({"temperature": 0.5, "max_tokens": 100, "stream_options": usage}),
            ),
            (
                Dialect::Vllm,
                "qwen3",
                json!({"temperature": 0.5, "max_tokens": 100, "stream_options": usage,
                       "chat_template_kwargs": {"enable_thinking": true}}),
            ),
            (
                Dialect::LlamaCpp,
                "qwen3",
                json!({"temperature": 0.5, "max_tokens": 100, "stream_options": usage,
                       "chat_template_kwargs": {"enable_thinking": true}}),
            ),
            (
                Dialect::DeepSeek,
                "deepseek-chat",
                json!({"temperature": 0.5, "max_tokens": 100, "stream_options": usage, "thinking": {"type": "enabled"}}),
            ),
        ] {
            assert_eq!(body(dialect, model), expected, "{dialect:?} {model}");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_said() {
        let asked = ModelRequest {
            messages: vec![ModelMessage { role: Role::User, text: "a".to_owned(), images: Vec::new() }],
            ..ModelRequest::default()
        };
        let body = body_of(
            &Provider { dialect: Dialect::Glm, ..provider("p", "https://x") },
            &KnownModel::new("glm-5"),
            &asked,
        );
        let expected =
            json!({"model": "glm-5", "messages": [{"role": "user", "content": "a"}], "stream": true});
        assert_eq!(Value::Object(body), expected);
    }

    #[test]
    fn the_provider_has_the_last_word() {
        let mut provider = provider("p", "https://x");
        provider.omit.insert("stream_options".to_owned());
        provider.rename.insert("max_tokens".to_owned(), "max_new_tokens".to_owned());
        provider.extra_body.insert("temperature".to_owned(), json!(1));
        provider.extra_body.insert("top_k".to_owned(), json!(40));
        let body = Value::Object(body_of(&provider, &KnownModel::new("m"), &request()));
        assert_eq!(body["stream_options"], Value::Null);
        assert_eq!((&body["max_tokens"], &body["max_new_tokens"]), (&Value::Null, &json!(100)));
        assert_eq!((&body["temperature"], &body["top_k"]), (&json!(1), &json!(40)));
    }

    #[test]
    fn what_is_known_of_a_model_counts() {
        let provider = Provider { dialect: Dialect::Ollama, ..provider("p", "https://x") };
        let body = |thinking, max_output| {
            let model = KnownModel { max_output, thinking, ..KnownModel::new("m") };
            Value::Object(body_of(&provider, &model, &request()))
        };
        assert_eq!(body(Some(true), Some(50))["reasoning_effort"], json!("low"));
        assert_eq!(body(Some(false), Some(50))["reasoning_effort"], Value::Null);
        assert_eq!(body(None, Some(50))["max_tokens"], json!(50));
        assert_eq!(body(None, Some(500))["max_tokens"], json!(100));
    }

    #[test]
    fn images_are_data_urls() {
        let image = Image { media_type: "image/png".to_owned(), base64: "AAAA".to_owned() };
        let message = ModelMessage { role: Role::User, text: "see".to_owned(), images: vec![image] };
        let expected = json!({"role": "user", "content": [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]});
        assert_eq!(message_of(&message), expected);
        assert_eq!(
            message_of(&ModelMessage { text: String::new(), ..message })["content"][0],
            expected["content"][1]
        );
    }
}
