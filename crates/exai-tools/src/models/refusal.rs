//! What an endpoint means that answers with an error instead of a text.
//!
//! The endpoints agree on neither statuses nor codes, so what each uses is listed here. Sources: the error pages of
//! OpenAI (<https://platform.openai.com/docs/guides/error-codes>), Z.ai (<https://docs.z.ai/api-reference/api-code>), Kimi
//! (<https://platform.moonshot.ai/docs/api/errors>), DeepSeek (<https://api-docs.deepseek.com/quick_start/error_codes>) and
//! OpenRouter (<https://openrouter.ai/docs/api-reference/errors>), and the sources of vLLM, llama.cpp and Ollama.

use std::time::Duration;

use serde_json::Value;

use super::fault::Fault;
use super::foreign_text::Cleaner;

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    /// The HTTP status; of an error within a stream the status that it names, or 0.
    pub(crate) status: u16,
    /// The body, cut where it is too long.
    pub(crate) body: &'a [u8],
    /// The header `Retry-After`, in its form with seconds.
    pub(crate) retry_after: Option<Duration>,
}

/// Codes and words by which a meaning is recognised. The codes are whole, the words are parts of the text in lower case.
struct Signs {
    codes: &'static [&'static str],
    words: &'static [&'static str],
}

const NO_CREDIT: Signs = Signs {
    codes: &[
        "insufficient_quota",
        "insufficient_balance",
        "exceeded_current_quota_error",
        "billing_hard_limit_reached",
        "1113",
    ],
    words: &[
        "insufficient balance",
        "insufficient_quota",
        "exceeded your current quota",
        "insufficient credits",
        "more credits",
        "余额不足",
    ],
};

const CONTEXT_OVERFLOW: Signs = Signs {
    codes: &["context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded", "1261"],
    words: &[
        "maximum context length",
        "context length",
        "context_length",
        "context window",
        "context size",
        "exceeded model token limit",
        "prompt exceeds max length",
        "prompt is too long",
        "input is too long",
        "too many tokens",
        "max_model_len",
    ],
};

const FILTERED: Signs = Signs {
    codes: &["content_filter", "content_policy_violation", "responsibleaipolicyviolation", "1301"],
    words: &[
        "content management policy",
        "content policy",
        "considered high risk",
        "content exists risk",
        "requires moderation",
        "flagged",
    ],
};

const MODEL_GONE: Signs = Signs {
    codes: &["model_not_found", "resource_not_found_error", "1211", "1220"],
    words: &["not a valid model", "model not exist", "unknown model", "模型不存在", "no endpoints found"],
};

impl Signs {
    fn are_in(&self, error: &Told) -> bool {
        self.codes.iter().any(|code| error.codes.iter().any(|told| told == code))
            || self.words.iter().any(|word| error.text.contains(word))
    }
}

/// What the body tells.
#[derive(Debug, Default)]
struct Told {
    /// All codes and types, in lower case.
    codes: Vec<String>,
    /// Everything that is said, in lower case.
    text: String,
    /// What to show.
    message: String,
}

impl Refusal<'_> {
    /// What it means.
    pub(crate) fn explain(&self, cleaner: &Cleaner) -> Fault {
        let document: Option<Value> = serde_json::from_slice(self.body).ok();
        let told = document.as_ref().map(read).unwrap_or_default();
        let status = self.status;
        let said = if told.message.is_empty() {
            cleaner.first_line(self.body)
        } else {
            cleaner.clean(&told.message)
        };
        let is_about_model = told.text.contains("model");
        match status {
            300..=399 => Fault::Redirected { status },
            402 => Fault::NoCredit { said },
            _ if NO_CREDIT.are_in(&told) => Fault::NoCredit { said },
            // A page of a proxy on the way may hold any words; only what is JSON is believed.
            _ if CONTEXT_OVERFLOW.are_in(&told) => Fault::ContextOverflow { said },
            _ if FILTERED.are_in(&told) => Fault::Filtered { said },
            _ if MODEL_GONE.are_in(&told) => Fault::ModelGone { said },
            401 | 403 => Fault::Unauthorised { status, said },
            404 | 410 if is_about_model => Fault::ModelGone { said },
            404 | 405 | 410 => Fault::NoEndpoint { status, said },
            413 => Fault::RequestTooLarge { said },
            429 => Fault::RateLimited { retry_after: self.retry_after, said },
            500.. => Fault::Failing { status, said },
            0 => Fault::Broke { said },
            _ => Fault::Rejected { status, said },
        }
    }
}

/// Explains an error that came as a part of an answer that had begun well.
pub(crate) fn explain_within(document: &Value, cleaner: &Cleaner) -> Fault {
    let body = document.to_string();
    let code = &document["error"]["code"];
    let status = code.as_u64().filter(|code| (400..500).contains(code)).unwrap_or(0);
    Refusal { status: status as u16, body: body.as_bytes(), retry_after: None }.explain(cleaner)
}

/// Reads the shapes of errors: `{"error": {…}}`, `{"error": "…"}`, `{"message": …, "code": …}`, `{"detail": …}`.
fn read(document: &Value) -> Told {
    let error = if document["error"].is_null() { document } else { &document["error"] };
    let mut told = Told::default();
    for name in ["code", "type"] {
        match &error[name] {
            Value::String(code) => told.codes.push(code.to_lowercase()),
            Value::Number(code) => told.codes.push(code.to_string()),
            _ => {}
        }
    }
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let message = text(error)
        .or_else(|| ["message", "msg", "detail"].iter().find_map(|name| text(&error[name])))
        .or_else(|| text(&error["detail"][0]["msg"]))
        .unwrap_or_default();
    // OpenRouter says "Provider returned error", and passes on what that provider has said.
    let raw = text(&error["metadata"]["raw"]).unwrap_or_default();
    told.text = format!("{message} {raw}").to_lowercase();
    let is_empty_phrase = message.eq_ignore_ascii_case("provider returned error");
    told.message = match (is_empty_phrase, raw.is_empty()) {
        (true, false) => {
            let inner = serde_json::from_str::<Value>(&raw).ok().map(|raw| read(&raw));
            inner.map(|inner| inner.message).filter(|message| !message.is_empty()).unwrap_or(raw)
        }
        _ => message,
    };
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(status: u16, body: &str) -> Fault {
        Refusal { status, body: body.as_bytes(), retry_after: None }.explain(&Cleaner::default())
    }

    #[test]
    fn the_refusals_of_each_dialect_are_recognised() {
        for (status, body, code) in [
            // OpenAI
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
                "context_overflow",
            ),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota, please check your plan.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                "no_credit",
            ),
            (
                429,
                r#"{"error":{"message":"Rate limit reached for gpt-5","type":"tokens","code":"rate_limit_exceeded"}}"#,
                "rate_limited",
            ),
            (
                401,
                r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                "unauthorised",
            ),
            (
                404,
                r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}"#,
                "model_gone",
            ),
            (
                400,
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens'","type":"invalid_request_error","code":"unsupported_parameter"}}"#,
                "request_rejected",
            ),
            // GLM
            (
                429,
                r#"{"error":{"code":"1113","message":"Insufficient balance or no resource package. Please recharge."}}"#,
                "no_credit",
            ),
            (
                429,
                r#"{"error":{"code":"1302","message":"High concurrency usage of this API"}}"#,
                "rate_limited",
            ),
            (400, r#"{"error":{"code":"1261","message":"Prompt exceeds max length"}}"#, "context_overflow"),
            (
                400,
                r#"{"error":{"code":"1211","message":"Unknown Model, please check the model code."}}"#,
                "model_gone",
            ),
            (
                400,
                r#"{"error":{"code":"1301","message":"System detected potentially unsafe or sensitive content"}}"#,
                "content_filtered",
            ),
            (
                401,
                r#"{"error":{"code":"1002","message":"Authorization Token non-compliance"}}"#,
                "unauthorised",
            ),
            // Kimi
            (
                400,
                r#"{"error":{"message":"Invalid request: Your request exceeded model token limit: 262144","type":"invalid_request_error"}}"#,
                "context_overflow",
            ),
            (
                404,
                r#"{"error":{"message":"Not found the model kimi-k2-0711-preview or Permission denied","type":"resource_not_found_error"}}"#,
                "model_gone",
            ),
            (
                400,
                r#"{"error":{"message":"The request was rejected because it was considered high risk","type":"content_filter"}}"#,
                "content_filtered",
            ),
            (
                429,
                r#"{"error":{"message":"Your account is not active","type":"exceeded_current_quota_error"}}"#,
                "no_credit",
            ),
            (
                429,
                r#"{"error":{"message":"The engine is currently overloaded","type":"engine_overloaded_error"}}"#,
                "rate_limited",
            ),
            // OpenRouter
            (402, r#"{"error":{"message":"Insufficient credits. Add more","code":402}}"#, "no_credit"),
            (
                400,
                r#"{"error":{"message":"x/y is not a valid model ID","code":400},"user_id":"u"}"#,
                "model_gone",
            ),
            (
                400,
                r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"prompt is too long: 210000 tokens > 200000 maximum\"}}","provider_name":"Z"}}}"#,
                "context_overflow",
            ),
            (
                403,
                r#"{"error":{"message":"The model requires moderation and the input was flagged","code":403,"metadata":{"reasons":["violence"]}}}"#,
                "content_filtered",
            ),
            (502, r#"{"error":{"message":"Provider returned error","code":502}}"#, "endpoint_failing"),
            // DeepSeek
            (
                402,
                r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#,
                "no_credit",
            ),
            (
                400,
                r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","code":"invalid_request_error"}}"#,
                "model_gone",
            ),
            (
                400,
                r#"{"error":{"message":"Content Exists Risk","type":"invalid_request_error"}}"#,
                "content_filtered",
            ),
            // Ollama
            (
                404,
                r#"{"error":{"message":"model \"qwen3\" not found, try pulling it first","type":"not_found_error","param":null,"code":null}}"#,
                "model_gone",
            ),
            (
                400,
                r#"{"error":"model requires more system memory (12 GiB) than is available"}"#,
                "request_rejected",
            ),
            // LM Studio
            (
                400,
                r#"{"error":"The number of tokens to keep from the initial prompt is greater than the context length."}"#,
                "context_overflow",
            ),
            // vLLM
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}"#,
                "context_overflow",
            ),
            (
                404,
                r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}"#,
                "model_gone",
            ),
            (
                422,
                r#"{"detail":[{"loc":["body","top_p"],"msg":"Input should be less than 1","type":"less_than"}]}"#,
                "request_rejected",
            ),
            // llama.cpp
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}"#,
                "context_overflow",
            ),
            (
                503,
                r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
                "endpoint_failing",
            ),
            // others
            (404, "<html><body>404 Not Found</body></html>", "no_endpoint"),
            (404, r#"{"detail":"Not Found"}"#, "no_endpoint"),
            (405, "", "no_endpoint"),
            (413, "<html>Request Entity Too Large</html>", "request_too_large"),
            (301, "", "redirected"),
            (524, "error code: 524", "endpoint_failing"),
            (418, "null", "request_rejected"),
            (502, "<html>the context length of a proxy's page means nothing</html>", "endpoint_failing"),
        ] {
            assert_eq!(explain(status, body).code(), code, "{status} {body}");
        }
    }

    #[test]
    fn what_is_shown_is_what_the_endpoint_meant() {
        let raw = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"bad\\nthing\"}}"}}}"#;
        assert_eq!(explain(400, raw).to_string(), "the endpoint rejects the request (400): \"bad thing\"");
        let detail = r#"{"detail":[{"msg":"Input should be less than 1"}]}"#;
        assert_eq!(
            explain(422, detail).to_string(),
            "the endpoint rejects the request (422): \"Input should be less than 1\""
        );
        assert_eq!(explain(418, "").to_string(), "the endpoint rejects the request (418)");
    }

    #[test]
    fn errors_within_a_stream_are_explained() {
        for (body, code) in [
            (r#"{"error":{"code":502,"message":"Upstream idle"},"choices":[]}"#, "stream_failed"),
            (r#"{"error":{"code":429,"message":"Slow down"}}"#, "rate_limited"),
            (r#"{"error":{"code":"server_error","message":"x"}}"#, "stream_failed"),
            (r#"{"error":"context length exceeded"}"#, "context_overflow"),
            (r#"{"code":"1301","message":"sensitive"}"#, "content_filtered"),
        ] {
            let document = serde_json::from_str(body).unwrap();
            assert_eq!(explain_within(&document, &Cleaner::default()).code(), code, "{body}");
        }
    }
}
