//! What a client does at a server that wants a sign-in, and what its user does then.

use exai_test::authorization_server::{Page, follow};
use serde_json::{Map, Value, json};

use crate::client::{Client, require_text};
use crate::common::Outcome;
use crate::home::SERVER;
use crate::plays::Play;

/// The only tool of the suite's servers that want a sign-in, and what it says.
const TOOL: &str = "test-tool";
const SAYS: &str = "test";
/// How often the user signs in before one call is carried out: a server may want another scope after the first sign-in, or
/// have moved meanwhile.
const MOST_SIGN_INS: usize = 3;
/// How often a patient user signs in where that is of no use.
const PATIENCE: usize = 8;
/// The document that the suite expects as client id where a server takes documents.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";

/// What has become of a call.
enum Called {
    Done(Value),
    /// The user is to open a page first.
    Page {
        address: String,
        /// What the next request says of it.
        heard: Map<String, Value>,
    },
    /// In words.
    Refused(String),
}

/// The play of a scenario that begins with `auth/`; `None` for one that this client cannot play.
pub(crate) fn find(name: &str) -> Option<Play> {
    let play: Play = match name {
        "resource-mismatch" | "metadata-issuer-mismatch" => is_shown_no_page,
        "iss-supported-missing" | "iss-wrong-issuer" | "iss-unexpected" | "iss-normalized" => cannot_sign_in,
        "scope-retry-limit" => is_not_asked_for_ever,
        // Between the calls the server moves to another authorization server.
        "authorization-server-migration" => |client, _| {
            sign_in_and_call(client)?;
            sign_in_and_call(client)
        },
        "basic-cimd"
        | "iss-not-advertised"
        | "iss-supported"
        | "metadata-default"
        | "metadata-var1"
        | "metadata-var2"
        | "metadata-var3"
        | "offline-access-not-supported"
        | "offline-access-scope"
        | "pre-registration"
        | "scope-from-scopes-supported"
        | "scope-from-www-authenticate"
        | "scope-omitted-when-undefined"
        | "scope-step-up"
        | "token-endpoint-auth-basic"
        | "token-endpoint-auth-none"
        | "token-endpoint-auth-post" => |client, _| sign_in_and_call(client),
        _ => return None,
    };
    Some(play)
}

/// How the configuration has exai sign in, inside of a table.
pub(crate) fn configure(scenario: &str, context: &Value) -> String {
    let pair = |name: &str, value: &Value| format!("{name} = {value}");
    match scenario {
        "auth/basic-cimd" => pair("client_id", &json!(DOCUMENT)),
        "auth/pre-registration" => {
            ["client_id", "client_secret"].map(|name| pair(name, &context[name])).join(", ")
        }
        _ => String::new(),
    }
}

/// Calls until the call is carried out. The user opens the pages that are shown.
fn sign_in_and_call(client: &mut Client) -> Outcome {
    let mut heard = Map::new();
    for _ in 0..=MOST_SIGN_INS {
        match call(client, heard)? {
            Called::Done(result) => return require_text(TOOL, &result, SAYS),
            Called::Page { address, heard: next } => {
                open(&address, 200)?;
                heard = next;
            }
            Called::Refused(why) => return Err(format!("the call was refused: {why}")),
        }
    }
    Err(format!("the user has signed in {MOST_SIGN_INS} times, and is asked to again"))
}

/// The call is refused without a page, since none can be trusted.
fn is_shown_no_page(client: &mut Client, _: &Value) -> Outcome {
    match call(client, Map::new())? {
        Called::Refused(_) => Ok(()),
        Called::Done(_) => Err("the call was carried out".to_owned()),
        Called::Page { address, .. } => Err(format!("the user is sent to {address}")),
    }
}

/// The user opens the page, and what comes back is refused.
fn cannot_sign_in(client: &mut Client, _: &Value) -> Outcome {
    let Called::Page { address, .. } = call(client, Map::new())? else {
        return Err("there should be a page to open".to_owned());
    };
    let page = open(&address, 400)?;
    if !page.text.contains("The sign-in failed") {
        return Err(format!("the user should be told: {}", page.text));
    }
    match call(client, Map::new())? {
        Called::Done(_) => Err("the call was carried out".to_owned()),
        Called::Page { .. } | Called::Refused(_) => Ok(()),
    }
}

/// The user signs in whenever that is asked for, until it is asked for no more.
fn is_not_asked_for_ever(client: &mut Client, _: &Value) -> Outcome {
    let mut heard = Map::new();
    for _ in 0..PATIENCE {
        match call(client, heard)? {
            Called::Done(_) => return Err("the call was carried out".to_owned()),
            Called::Page { address, heard: next } => {
                open(&address, 200)?;
                heard = next;
            }
            Called::Refused(_) => return Ok(()),
        }
    }
    Err(format!("the user has signed in {PATIENCE} times, and is asked to again"))
}

fn open(address: &str, expected: u16) -> Outcome<Page> {
    let page = follow(address);
    if page.status == expected { Ok(page) } else { Err(format!("the browser should not end here: {page:?}")) }
}

/// Calls the tool. `heard` is what the user has answered to the last refusal.
fn call(client: &mut Client, mut heard: Map<String, Value>) -> Outcome<Called> {
    heard.insert("name".to_owned(), json!(format!("{SERVER}__{TOOL}")));
    heard.insert("arguments".to_owned(), json!({}));
    let answer = client.request("tools/call", Value::Object(heard))?;
    if answer["error"]["code"] == -32042 {
        let question = &answer["error"]["data"]["elicitations"][0];
        return Ok(Called::Page { address: address_of(question)?, heard: Map::new() });
    }
    if answer["error"].is_object() {
        return Ok(Called::Refused(answer["error"]["message"].to_string()));
    }
    let result = &answer["result"];
    if result["resultType"] != "input_required" {
        return Ok(Called::Done(result.clone()));
    }
    let question = result["inputRequests"].as_object().and_then(|all| all.iter().next());
    let (key, question) = question.ok_or_else(|| format!("nothing is asked for: {result}"))?;
    if question["method"] != "elicitation/create" || question["params"]["mode"] != "url" {
        return Err(format!("the user should be asked to open a page: {result}"));
    }
    let address = address_of(&question["params"])?;
    let heard =
        json!({"inputResponses": {key: {"action": "accept"}}, "requestState": result["requestState"]});
    Ok(Called::Page { address, heard: heard.as_object().cloned().unwrap_or_default() })
}

fn address_of(question: &Value) -> Outcome<String> {
    question["url"].as_str().map(str::to_owned).ok_or_else(|| format!("no address: {question}"))
}
