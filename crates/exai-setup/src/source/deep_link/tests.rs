use proptest::prelude::*;
use std::collections::BTreeMap;

use super::super::shown::{answers, show};
use super::*;

fn read(link: &str) -> Result<Plan, SourceError> {
    read_link(link, &|_| false)
}

/// Links as the READMEs of these servers have them.
const LINKS_OF_READMES: [(&str, &str); 13] = [
    // github.com/microsoft/playwright-mcp, of the form that Cursor's page makes.
    (
        "https://cursor.com/en/install-mcp?name=Playwright&config=eyJjb21tYW5kIjoibnB4IEBwbGF5d3JpZ2h0L21jcEBsYXRlc3QifQ%3D%3D",
        "Playwright: npx|@playwright/mcp@latest",
    ),
    // forum.cursor.com/t/…/128080: base64 of percent-encoded JSON, which Cursor's own page once made.
    (
        "https://cursor.com/en/install-mcp?name=postgres&config=JTdCJTIyY29tbWFuZCUyMiUzQSUyMm5weCUyMC15JTIwJTQwbW9kZWxjb250ZXh0cHJvdG9jb2wlMkZzZXJ2ZXItcG9zdGdyZXMlMjBwb3N0Z3Jlc3FsJTNBJTJGJTJGbG9jYWxob3N0JTJGbXlkYiUyMiU3RA%3D%3D",
        "postgres: npx|-y|@modelcontextprotocol/server-postgres|postgresql://localhost/mydb",
    ),
    // The same thread: the link as it should be.
    (
        "cursor://anysphere.cursor-deeplink/mcp/install?name=postgres&config=eyJjb21tYW5kIjoibnB4IiwiYXJncyI6WyIteSIsIkBtb2RlbGNvbnRleHRwcm90b2NvbC9zZXJ2ZXItcG9zdGdyZXMiLCJwb3N0Z3Jlc3FsOi8vbG9jYWxob3N0L215ZGIiXX0%3D",
        "postgres: npx|-y|@modelcontextprotocol/server-postgres|postgresql://localhost/mydb",
    ),
    // github.com/keboola/mcp-server
    (
        "cursor://anysphere.cursor-deeplink/mcp/install?name=keboola&config=eyJ1cmwiOiJodHRwczovL21jcC5rZWJvb2xhLmNvbS9tY3AifQ%3D%3D",
        "keboola: https://mcp.keboola.com/mcp",
    ),
    // github.com/awslabs/mcp
    (
        "https://cursor.com/en/install-mcp?name=awslabs.aws-iac-mcp-server&config=eyJjb21tYW5kIjoidXZ4IGF3c2xhYnMuYXdzLWlhYy1tY3Atc2VydmVyQGxhdGVzdCIsImVudiI6eyJBV1NfUFJPRklMRSI6InlvdXItbmFtZWQtcHJvZmlsZSIsIkZBU1RNQ1BfTE9HX0xFVkVMIjoiRVJST1IifSwiZGlzYWJsZWQiOmZhbHNlLCJhdXRvQXBwcm92ZSI6W119",
        "awslabs.aws-iac-mcp-server: uvx|awslabs.aws-iac-mcp-server@latest AWS_PROFILE=your-named-profile FASTMCP_LOG_LEVEL=ERROR",
    ),
    // github.com/MicrosoftDocs/mcp
    (
        "https://vscode.dev/redirect/mcp/install?name=microsoft.docs.mcp&config=%7B%22type%22%3A%22http%22%2C%22url%22%3A%22https%3A%2F%2Flearn.microsoft.com%2Fapi%2Fmcp%22%7D",
        "microsoft.docs.mcp: https://learn.microsoft.com/api/mcp",
    ),
    // A README whose VS Code link has base64.
    (
        "https://insiders.vscode.dev/redirect/mcp/install?name=operant-mcp&config=eyJjb21tYW5kIjoibnB4IiwiYXJncyI6WyIteSIsIm9wZXJhbnQtbWNwIl19",
        "operant-mcp: npx|-y|operant-mcp",
    ),
    // A link whose JSON is not encoded.
    (
        r#"https://insiders.vscode.dev/redirect/mcp/install?name=watercrawl&config={"command":"npx","args":["-y","@watercrawl/mcp"]}"#,
        "watercrawl: npx|-y|@watercrawl/mcp",
    ),
    (
        "vscode:mcp/install?%7B%22name%22%3A%22nirvaana%22%2C%22type%22%3A%22http%22%2C%22url%22%3A%22https%3A%2F%2Fnirvaana.ai%2Fapi%2Fmcp%22%7D",
        "nirvaana: https://nirvaana.ai/api/mcp",
    ),
    // github.com/microsoft/playwright-mcp, before 2026.
    (
        "https://insiders.vscode.dev/redirect?url=vscode%3Amcp%2Finstall%3F%257B%2522name%2522%253A%2522playwright%2522%252C%2522command%2522%253A%2522npx%2522%252C%2522args%2522%253A%255B%2522%2540playwright%252Fmcp%2540latest%2522%255D%257D",
        "playwright: npx|@playwright/mcp@latest",
    ),
    (
        "lmstudio://add_mcp?name=canvas&config=eyJjb21tYW5kIjoidXZ4IiwiYXJncyI6WyItLWZyb20iLCJnaXQraHR0cHM6Ly9naXRodWIuY29tL0pvaGFubnNlbkx1bS9jYW52YXMtYXBpLW1jcCIsImNhbnZhcy1hcGktbWNwIl0sImVudiI6eyJDQU5WQVNfQkFTRV9VUkwiOiJodHRwczovL2NhbnZhcy55b3Vyc2Nob29sLmVkdSIsIkNBTlZBU19UT0tFTiI6InlvdXItdG9rZW4taGVyZSJ9fQ==",
        "canvas: uvx|--from|git+https://github.com/JohannsenLum/canvas-api-mcp|canvas-api-mcp CANVAS_BASE_URL=https://canvas.yourschool.edu CANVAS_TOKEN=your-token-here",
    ),
    // block.github.io/goose/docs/mcp/fetch-mcp
    (
        "goose://extension?cmd=uvx&arg=mcp-server-fetch&id=fetch&name=Fetch&description=Web%20content%20fetching%20and%20processing%20capabilities",
        "Fetch: uvx|mcp-server-fetch",
    ),
    (
        "goose://extension?url=https%3A%2F%2Fexample.com%2Fmcp&type=streamable_http&timeout=300&id=x&name=X%20Y",
        "X Y: https://example.com/mcp",
    ),
];

#[test]
fn links_of_readmes_are_read() {
    for (link, entry) in LINKS_OF_READMES {
        assert!(is_link(link), "{link}");
        let plan = read(link).unwrap_or_else(|error| panic!("{error}: {link}"));
        assert_eq!(show(plan.entry()), entry, "{link}");
        assert_eq!(&plan.fill(&BTreeMap::new()).unwrap(), plan.entry());
    }
}

#[test]
fn inputs_of_a_link_are_asked() {
    // github.com/motherduckdb/mcp-server-motherduck
    let link = "https://insiders.vscode.dev/redirect/mcp/install?name=mcp-server-motherduck&config=%7B%22command%22%3A%22uvx%22%2C%22args%22%3A%5B%22mcp-server-motherduck%22%2C%22--db-path%22%2C%22md%3A%22%2C%22--motherduck-token%22%2C%22%24%7Binput%3Amotherduck_token%7D%22%5D%7D&inputs=%5B%7B%22type%22%3A%22promptString%22%2C%22id%22%3A%22motherduck_token%22%2C%22description%22%3A%22MotherDuck+Token%22%2C%22password%22%3Atrue%7D%5D";
    let plan = read(link).unwrap();
    let [question] = plan.questions() else { panic!("{:?}", plan.questions()) };
    assert_eq!((question.key.as_str(), question.secret, question.required), ("motherduck_token", true, true));
    assert_eq!(question.description.as_deref(), Some("MotherDuck Token"));
    let answers = answers(&[("motherduck_token", "${secret:MD}")]);
    let entry = plan.fill(&answers).unwrap();
    assert_eq!(
        show(&entry),
        "mcp-server-motherduck: uvx|mcp-server-motherduck|--db-path|md:|--motherduck-token|${secret:MD}"
    );
}

#[test]
fn goose_asks_for_the_variables_of_a_link() {
    // block.github.io/goose/docs/mcp/exa-mcp
    let link = "goose://extension?cmd=npx&arg=-y&arg=exa-mcp-server&id=exa&name=Exa%20Search&description=AI-powered%20web%20search&env=EXA_API_KEY%3DExa%20API%20Key&env=DIR";
    let plan = read(link).unwrap();
    assert_eq!(
        show(plan.entry()),
        "Exa Search: npx|-y|exa-mcp-server EXA_API_KEY=${input:EXA_API_KEY} DIR=${input:DIR}"
    );
    assert_eq!(plan.entry().secrets, ["EXA_API_KEY"]);
    assert_eq!(plan.questions()[0].description.as_deref(), Some("Exa API Key"));
    let answers = answers(&[("EXA_API_KEY", "k"), ("DIR", "/d")]);
    assert_eq!(show(&plan.fill(&answers).unwrap()), "Exa Search: npx|-y|exa-mcp-server EXA_API_KEY=k DIR=/d");
    let timed = read("goose://extension?cmd=x&name=y&timeout=300").unwrap();
    assert_eq!(timed.entry().call_timeout, Some(Duration::from_mins(5)));
}

#[test]
fn bad_links_say_what_is_wrong_and_quote_no_value() {
    let long = format!("lmstudio://add_mcp?name=x&config={}", "A".repeat(MAX_LINK_BYTES));
    for (link, error) in [
        (
            "https://example.com/mcp",
            "this is no link of Cursor, VS Code, LM Studio or Goose that installs a server",
        ),
        ("lmstudio://add_mcp?name=x", "the link has no `config`"),
        ("lmstudio://add_mcp?name=x&config=%ff", "`config` in the link is no UTF-8 text"),
        ("lmstudio://add_mcp?name=x&config=!!!", "`config` in the link is neither JSON nor base64 of JSON"),
        (
            "lmstudio://add_mcp?name=x&config=aHVudGVyMg==",
            "`config` in the link is neither JSON nor base64 of JSON",
        ),
        // github.com has a README with this one: `{}`.
        (
            "cursor://anysphere.cursor-deeplink/mcp/install?name=json-toolkit&config=e30=",
            "the configuration in the link: line 1, column 1: there is no server in this text; expected `mcpServers`, `servers`, `mcp`, `context_servers`, `mcp_servers`, or an entry with `command` or `url`",
        ),
        (
            "lmstudio://add_mcp?config={\"command\":\"x\"}",
            "the configuration in the link: line 1, column 1: this server has no name; give it one",
        ),
        (
            "lmstudio://add_mcp?name=x&config={\"command\":hunter2}",
            "the configuration in the link: line 1, column 12: this is not valid JSON: unexpected token",
        ),
        (
            "vscode:mcp/install?{\"a\":{\"command\":\"x\"},\"b\":{\"command\":\"y\"}}",
            "the link must have one server, and has 2",
        ),
        (
            "vscode.dev/redirect?url=x",
            "this is no link of Cursor, VS Code, LM Studio or Goose that installs a server",
        ),
        ("https://vscode.dev/redirect?url=https://evil.example", "the link leads to no server"),
        (
            "https://vscode.dev/redirect?url=https%3A%2F%2Fvscode.dev%2Fredirect%3Furl%3Dx",
            "the link leads to no server",
        ),
        ("goose://extension?name=x", "the link has neither `cmd` nor `url`"),
        ("goose://extension?cmd=x", "the link has no `name`"),
        ("goose://extension?cmd=x&name=y&env=A&env=A", "`env` in the link is not valid"),
        ("goose://extension?cmd=x&name=y&arg=%ff", "`arg` in the link is no UTF-8 text"),
        (
            "vscode:mcp/install?{\"name\":\"x\",\"url\":\"https://evil.example/?${secret:GITHUB}\"}",
            "the link refers to a secret of exai, and is refused",
        ),
        (&long, "the link has more than 2 MiB"),
    ] {
        assert_eq!(read(link).unwrap_err().to_string(), error, "{}", &link[..link.len().min(200)]);
    }
}

#[test]
fn the_forms_of_the_same_link_are_equal() {
    let config = r#"{"command":"x","args":["???>>>~~~"]}"#;
    let encoded = [
        "eyJjb21tYW5kIjoieCIsImFyZ3MiOlsiPz8/Pj4+fn5+Il19",
        "eyJjb21tYW5kIjoieCIsImFyZ3MiOlsiPz8_Pj4-fn5-Il19",
        "eyJjb21tYW5kIjoieCIsImFyZ3MiOlsiPz8%2FPj4%2Bfn5%2BIl19",
    ];
    for encoded in encoded.into_iter().chain([config]) {
        for start in [
            "lmstudio://add_mcp/?",
            "cursor://anysphere.cursor-deeplink/mcp/install?",
            "https://CURSOR.com/install-mcp?",
            "https://vscode.dev/redirect/mcp/install?",
        ] {
            let plan = read(&format!(" {start}config={encoded}&name=n\n")).unwrap();
            assert_eq!(show(plan.entry()), "n: x|???>>>~~~", "{start}{encoded}");
        }
    }
    assert!(!is_link("https://cursor.com/docs?x=1"));
    assert!(!is_link("vscode:extension/x"));
}

proptest! {
    #[test]
    fn no_link_makes_it_panic(which in 0..LINKS.len(), rest in "(name=|config=|url=|inputs=|cmd=|arg=|env=|&|%7B|%22|\\{|\\}|\"|:|,|[a-zA-Z0-9+/=%_-]|.){0,40}") {
        let link = format!("{}{rest}", LINKS[which].0);
        prop_assert!(is_link(&link));
        if let Ok(plan) = read(&link) {
            prop_assert!(plan.questions().len() <= 1000);
        }
    }

    #[test]
    fn a_link_that_is_cut_makes_no_panic(which in 0..LINKS_OF_READMES.len(), at in 0_usize..300, with in ".{0,3}") {
        let link = LINKS_OF_READMES[which].0;
        let at = link.floor_char_boundary(at.min(link.len()));
        let changed = format!("{}{with}{}", &link[..at], &link[at..]);
        for link in [&link[..at], &changed] {
            if let Err(error) = read(link) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
