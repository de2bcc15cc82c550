use proptest::prelude::*;

use super::super::shown::{answers, show};
use super::*;

fn read(text: &str) -> RegistryServer {
    read_server_json(&with_registries(text), None).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// `@npm@` and `@pypi@` stand for the usual registries of packages.
fn with_registries(text: &str) -> String {
    let usual = |labels: &[&str]| labels.join(".");
    text.replace("@npm@", &usual(&["registry", "npmjs", "org"])).replace("@pypi@", &usual(&["pypi", "org"]))
}

/// Each offer as it is shown, with its gaps.
fn show_offers(server: &RegistryServer) -> Vec<String> {
    let line = |offer: &Offer| match offer {
        Offer::Package(_, plan) | Offer::Remote(plan) => {
            show(plan.entry()).strip_prefix(&format!("{}: ", server.name)).unwrap().to_owned()
        }
        Offer::Bundle(bundle) => format!("{} {}", bundle.url, &bundle.sha256[..8]),
    };
    server.offers.iter().map(line).collect()
}

fn plan_of(offer: &Offer) -> &Plan {
    match offer {
        Offer::Package(_, plan) | Offer::Remote(plan) => plan,
        Offer::Bundle(_) => panic!("a bundle"),
    }
}

fn fill(offer: &Offer, pairs: &[(&str, &str)]) -> String {
    plan_of(offer).fill(&answers(pairs)).map_or_else(|error| error.to_string(), |entry| show(&entry))
}

/// One package of a server.
fn package(members: &str) -> String {
    format!(r#"{{"name": "a.b/c", "version": "1", "packages": [{{{members}}}]}}"#)
}

// From docs/reference/server-json/generic-server-json.md of the registry; the older spelling from the same file in 2025-08.
const BRAVE: &str = r#"{
  "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
  "name": "io.modelcontextprotocol.anonymous/brave-search",
  "description": "MCP server for Brave Search API integration",
  "repository": { "url": "https://github.com/modelcontextprotocol/servers", "source": "github" },
  "version": "1.0.2",
  "packages": [
    {
      "registryType": "npm",
      "registryBaseUrl": "https://@npm@",
      "identifier": "@modelcontextprotocol/server-brave-search",
      "version": "1.0.2",
      "transport": { "type": "stdio" },
      "environmentVariables": [
        { "name": "BRAVE_API_KEY", "description": "Brave Search API Key", "isRequired": true, "isSecret": true }
      ]
    }
  ]
}"#;

const FILESYSTEM_OF_2025_07: &str = r#"{
  "name": "io.github.modelcontextprotocol/filesystem",
  "status": "active",
  "version_detail": { "version": "1.0.2" },
  "packages": [
    {
      "registry_type": "npm",
      "registry_base_url": "https://@npm@",
      "identifier": "@modelcontextprotocol/server-filesystem",
      "version": "1.0.2",
      "package_arguments": [
        { "type": "positional", "value_hint": "target_dir", "description": "Path to access", "default": "/Users/username/Desktop", "is_required": true, "is_repeated": true }
      ],
      "environment_variables": [ { "name": "LOG_LEVEL", "description": "Logging level (debug, info, warn, error)", "default": "info" } ]
    },
    {
      "registry_type": "oci",
      "registry_base_url": "https://docker.io",
      "identifier": "mcp/filesystem",
      "version": "1.0.2",
      "runtime_arguments": [
        {
          "type": "named",
          "description": "Mount a volume into the container",
          "name": "--mount",
          "value": "type=bind,src={source_path},dst={target_path}",
          "is_required": true,
          "is_repeated": true,
          "variables": {
            "source_path": { "description": "Source path on host", "format": "filepath", "is_required": true },
            "target_path": { "description": "Path to mount in the container.", "is_required": true, "default": "/project" }
          }
        }
      ],
      "package_arguments": [ { "type": "positional", "value_hint": "target_dir", "value": "/project" } ],
      "environment_variables": [ { "name": "LOG_LEVEL", "default": "info" } ]
    }
  ]
}"#;

const DATABASE: &str = r#"{
  "name": "io.github.example/database-manager",
  "version": "3.1.0",
  "packages": [
    {
      "registryType": "oci",
      "identifier": "docker.io/example/database-manager-mcp:3.1.0",
      "runtimeArguments": [
        { "type": "named", "name": "--network", "value": "host", "description": "Use host network mode" },
        { "type": "named", "name": "-e", "value": "DB_TYPE={db_type}", "description": "Database type to connect to", "isRepeated": true,
          "variables": { "db_type": { "description": "Type of database", "choices": ["postgres", "mysql", "mongodb", "redis"], "isRequired": true } } }
      ],
      "packageArguments": [
        { "type": "named", "name": "--host", "description": "Database host", "default": "localhost", "isRequired": true },
        { "type": "named", "name": "--port", "description": "Database port", "format": "number" },
        { "type": "positional", "valueHint": "database_name", "description": "Name of the database to connect to", "isRequired": true }
      ],
      "environmentVariables": [
        { "name": "DB_USERNAME", "description": "Database username", "isRequired": true },
        { "name": "DB_PASSWORD", "description": "Database password", "isRequired": true, "isSecret": true },
        { "name": "SSL_MODE", "description": "SSL connection mode", "default": "prefer", "choices": ["disable", "prefer", "require"] },
        { "name": "COMMENT" }
      ]
    }
  ]
}"#;

#[test]
fn a_package_of_npm_becomes_npx_and_asks_for_its_variables() {
    let server = read(BRAVE);
    assert_eq!(
        (server.name.as_str(), server.version.as_deref()),
        ("io.modelcontextprotocol.anonymous/brave-search", Some("1.0.2"))
    );
    assert_eq!(
        show_offers(&server),
        ["npx|-y|@modelcontextprotocol/server-brave-search@1.0.2 BRAVE_API_KEY=${input:BRAVE_API_KEY}"]
    );
    let plan = plan_of(&server.offers[0]);
    let question = &plan.questions()[0];
    assert_eq!((question.key.as_str(), question.secret, question.required), ("BRAVE_API_KEY", true, true));
    assert_eq!(question.description.as_deref(), Some("Brave Search API Key"));
    assert_eq!(plan.entry().secrets, ["BRAVE_API_KEY"]);
    assert_eq!(fill(&server.offers[0], &[]), "`BRAVE_API_KEY` needs a value");
    assert_eq!(fill(&server.offers[0], &[("BRAVE_API_KEY", "k"), ("X", "y")]), "there is no question `X`");
    let filled = plan.fill(&answers(&[("BRAVE_API_KEY", "k")])).unwrap();
    assert_eq!(filled.secrets, ["BRAVE_API_KEY"]);
}

#[test]
fn the_older_spelling_and_repeated_arguments_are_read() {
    let server = read(FILESYSTEM_OF_2025_07);
    assert_eq!(server.version.as_deref(), Some("1.0.2"));
    let [npm, docker] = server.offers.as_slice() else { panic!("{:?}", server.offers) };
    let name = "io.github.modelcontextprotocol/filesystem: ";
    let npx = "npx|-y|@modelcontextprotocol/server-filesystem@1.0.2";
    assert_eq!(fill(npm, &[]), format!("{name}{npx}|/Users/username/Desktop LOG_LEVEL=info"));
    assert_eq!(fill(npm, &[("target_dir", "/a|/b c")]), format!("{name}{npx}|/a|/b c LOG_LEVEL=info"));
    assert_eq!(fill(docker, &[]), "`source_path` needs a value");
    let run = "docker|run|-i|--rm";
    assert_eq!(
        fill(docker, &[("source_path", "/a|/b"), ("target_path", "/x|/y")]),
        format!(
            "{name}{run}|--mount|type=bind,src=/a,dst=/x|--mount|type=bind,src=/b,dst=/y|-e|LOG_LEVEL|mcp/filesystem:1.0.2|/project \
             LOG_LEVEL=info"
        )
    );
    assert_eq!(
        fill(docker, &[("source_path", "/a")]),
        format!(
            "{name}{run}|--mount|type=bind,src=/a,dst=/project|-e|LOG_LEVEL|mcp/filesystem:1.0.2|/project LOG_LEVEL=info"
        )
    );
}

#[test]
fn an_image_takes_its_variables_by_name_and_leaves_out_what_is_not_answered() {
    let server = read(DATABASE);
    let needed =
        [("db_type", "mysql"), ("database_name", "d"), ("DB_USERNAME", "u"), ("DB_PASSWORD", "${secret:DB}")];
    let name = "io.github.example/database-manager: ";
    assert_eq!(
        fill(&server.offers[0], &needed),
        format!(
            "{name}docker|run|-i|--rm|--network|host|-e|DB_TYPE=mysql|-e|DB_USERNAME|-e|DB_PASSWORD|-e|SSL_MODE|\
             docker.io/example/database-manager-mcp:3.1.0|--host|localhost|d DB_USERNAME=u DB_PASSWORD=${{secret:DB}} SSL_MODE=prefer"
        )
    );
    for (answer, error) in [
        (("db_type", "oracle"), "`db_type` must be one of: postgres, mysql, mongodb, redis"),
        (("--port", "x"), "there is no question `--port`"),
        (("port", "many"), "`port` must be a number"),
        (("DB_USERNAME", "a|b"), "`DB_USERNAME` takes one value alone"),
        (("DB_USERNAME", ""), "`DB_USERNAME` needs a value"),
    ] {
        let mut pairs = needed.to_vec();
        pairs.retain(|(key, _)| *key != answer.0);
        pairs.push(answer);
        assert_eq!(fill(&server.offers[0], &pairs), error);
    }
}

#[test]
fn every_kind_of_package_has_its_program() {
    for (members, offer) in [
        (
            r#""registryType": "pypi", "registryBaseUrl": "https://@pypi@", "identifier": "weather-mcp-server", "version": "0.5.0", "runtimeHint": "uvx""#,
            "uvx|weather-mcp-server@0.5.0",
        ),
        (
            r#""registryType": "nuget", "registryBaseUrl": "https://api.nuget.org/v3/index.json", "identifier": "Knapcode.SampleMcpServer", "version": "0.4.0-beta", "runtimeHint": "dnx",
           "packageArguments": [{"type": "positional", "value": "mcp"}, {"type": "positional", "value": "start"}]"#,
            "dnx|Knapcode.SampleMcpServer@0.4.0-beta|--yes|--|mcp|start",
        ),
        (
            r#""registry_name": "docker", "name": "mcp/time", "version": "1.0.2""#,
            "docker|run|-i|--rm|mcp/time:1.0.2",
        ),
        (
            r#""registryType": "oci", "identifier": "ghcr.io/github/github-mcp-server:0.20.1", "runtimeArguments": [{"type":"positional","value":"run"},{"type":"positional","value":"--init"}]"#,
            "docker|run|-i|--rm|--init|ghcr.io/github/github-mcp-server:0.20.1",
        ),
        (
            r#""registryType": "oci", "registryBaseUrl": "https://ghcr.io", "identifier": "x/y", "version": "2""#,
            "docker|run|-i|--rm|ghcr.io/x/y:2",
        ),
        (
            r#""registryType": "mcpb", "identifier": "https://github.com/modelcontextprotocol/text-editor-mcpb/releases/download/v1.0.2/text-editor.mcpb", "fileSha256": "fe333e598595000ae021bd27117db32ec69af6987f507ba7a63c90638ff633ce", "transport": {"type": "stdio"}"#,
            "https://github.com/modelcontextprotocol/text-editor-mcpb/releases/download/v1.0.2/text-editor.mcpb fe333e59",
        ),
        (
            r#""registryType": "npm", "identifier": "x", "version": "1.0.0", "runtimeHint": "npx", "runtimeArguments": [{"type": "positional", "value": "-y"}, {"type": "named", "name": "--quiet"}],
           "packageArguments": [{"type": "named", "name": "--stdio"}, {"type": "named", "name": "--mode=", "value": "a b"}]"#,
            "npx|-y|--quiet|x@1.0.0|--stdio|--mode=a b",
        ),
        (
            r#""registryType": "npm", "identifier": "x", "version": "1.0.0", "environmentVariables": [{"name": "URL", "value": "https://{host}/{other}", "variables": {"host": {"isRequired": true}}}]"#,
            "npx|-y|x@1.0.0 URL=https://${input:host}/{other}",
        ),
        (
            r#""registryType": "pypi", "identifier": "x", "version": "1", "runtimeHint": "uvx", "runtimeArguments": [{"type": "named", "name": "--python", "value": "3.12"}]"#,
            "uvx|--python|3.12|x@1",
        ),
        (
            r#""registryType": "oci", "identifier": "x/y:1", "runtimeArguments": [{"type": "named", "name": "-v", "value": "data:/data"},
               {"type": "named", "name": "--mount", "value": "type=volume,source=cache,target=/c"}, {"type": "named", "name": "-v", "valueHint": "mount"}]"#,
            "docker|run|-i|--rm|-v|data:/data|--mount|type=volume,source=cache,target=/c|-v|${input:mount}|x/y:1",
        ),
    ] {
        assert_eq!(show_offers(&read(&package(members))), [offer], "{members}");
    }
}

#[test]
fn a_switch_is_there_if_the_answer_is_yes() {
    let text = package(
        r#""registryType": "npm", "identifier": "x", "version": "1.0.0",
           "packageArguments": [{"type": "named", "name": "--read-only", "format": "boolean", "description": "No writes"}]"#,
    );
    let server = read(&text);
    for (pairs, filled) in [
        (&[][..], "a.b/c: npx|-y|x@1.0.0"),
        (&[("read-only", "false")], "a.b/c: npx|-y|x@1.0.0"),
        (&[("read-only", "true")], "a.b/c: npx|-y|x@1.0.0|--read-only"),
        (&[("read-only", "1")], "`read-only` must be true or false"),
    ] {
        assert_eq!(fill(&server.offers[0], pairs), filled);
    }
}

#[test]
fn remotes_ask_for_their_headers_and_for_parts_of_the_url() {
    // CHANGELOG.md, 2025-12-11, and the remote of the format's documentation.
    let server = read(
        r#"{"name": "a.b/c", "remotes": [
          {"type": "streamable-http", "url": "https://{tenant_id}.api.example.com/mcp", "variables": {"tenant_id": {"description": "Your tenant identifier", "isRequired": true}}},
          {"transport_type": "sse", "url": "https://mcp.example.com/sse", "headers": [
            {"name": "X-API-Key", "description": "API key for authentication", "is_required": true, "is_secret": true},
            {"name": "X-Region", "default": "us-east-1", "choices": ["us-east-1", "eu-west-1"]},
            {"name": "Authorization", "value": "Bearer {token}", "isSecret": true, "variables": {"token": {}}}]},
          {"type": "streamable-http", "url": "http://127.0.0.1:3845/mcp"}]}"#,
    );
    assert_eq!(
        show_offers(&server),
        [
            "https://${input:tenant_id}.api.example.com/mcp",
            "https://mcp.example.com/sse X-API-Key: ${input:X-API-Key} X-Region: ${input:X-Region} Authorization: Bearer ${input:token}",
            "http://127.0.0.1:3845/mcp",
        ]
    );
    assert_eq!(fill(&server.offers[0], &[]), "`tenant_id` needs a value");
    assert_eq!(
        fill(&server.offers[1], &[("X-API-Key", "k")]),
        "a.b/c: https://mcp.example.com/sse X-API-Key: k X-Region: us-east-1"
    );
    assert_eq!(plan_of(&server.offers[1]).entry().secrets, ["X-API-Key", "Authorization"]);
}

#[test]
fn the_answer_of_the_registry_is_unwrapped_and_compared() {
    let wrap = |status: &str| {
        with_registries(&format!(
            r#"{{"server": {BRAVE}, "_meta": {{"io.modelcontextprotocol.registry/official": {{"status": "{status}", "isLatest": true}}}}}}"#
        ))
    };
    let asked = |text: &str| RegistryName::parse(text).unwrap();
    let name = "io.modelcontextprotocol.anonymous/brave-search";
    for good in [name, &format!("{name}@1.0.2"), &format!("{name}@latest")] {
        let server = read_server_json(&wrap("active"), Some(&asked(good))).unwrap();
        assert!(!server.deprecated && server.offers.len() == 1);
    }
    assert!(read_server_json(&wrap("deprecated"), None).unwrap().deprecated);
    for (text, asked_for, error) in [
        (wrap("active"), "io.github.x/y".to_owned(), "the registry was asked for `io.github.x/y` and answered with another server".to_owned()),
        (wrap("active"), format!("{name}@1.0.3"), format!("the registry was asked for `{name}@1.0.3` and answered with another version")),
        (wrap("deleted"), name.to_owned(), format!("line 1, column 1: `{name}` was deleted from the registry")),
        (r#"{"server": {"name": "../x"}}"#.to_owned(), name.to_owned(), "line 1, column 12: a name in the registry is `namespace/name` of letters, digits, `.`, `-` and `_`, with at most 200 characters".to_owned()),
        (r#"{"error": "not found"}"#.to_owned(), name.to_owned(), "line 1, column 1: the description has no `name`".to_owned()),
        ("<html>".to_owned(), name.to_owned(), "line 1, column 1: this is not valid JSON: unexpected token".to_owned()),
    ] {
        assert_eq!(read_server_json(&text, Some(&asked(&asked_for))).unwrap_err().to_string(), error);
    }
}

#[test]
fn a_package_chooses_no_program_and_no_other_source() {
    let npm = |more: &str| format!(r#""registryType": "npm", "identifier": "x", "version": "1.0.0", {more}"#);
    let oci =
        |more: &str| format!(r#""registryType": "oci", "identifier": "x/y:1", "runtimeArguments": [{more}]"#);
    for (members, why) in [
        (r#""registryType": "cargo", "identifier": "x", "version": "1""#.to_owned(), "the kind of package is not known"),
        (r#""registryType": "npm", "identifier": "--call=evil", "version": "1""#.to_owned(), "the identifier of a package is not valid"),
        (r#""registryType": "npm", "identifier": "git+https://evil.example/x", "version": "1""#.to_owned(), "the identifier of a package is not valid"),
        (r#""registryType": "npm", "identifier": "../x", "version": "1""#.to_owned(), "the identifier of a package is not valid"),
        (r#""registryType": "npm", "identifier": "evil/repo", "version": "1""#.to_owned(), "the identifier of a package is not valid"),
        (r#""registryType": "npm", "identifier": "x", "version": "npm:evil""#.to_owned(), "the version of a package is not one version"),
        (r#""registryType": "npm", "identifier": "x", "version": "latest""#.to_owned(), "a package has no fixed version"),
        (r#""registryType": "npm", "identifier": "x""#.to_owned(), "a package has no fixed version"),
        (r#""registryType": "pypi", "identifier": "x @ https://evil.example", "version": "1""#.to_owned(), "the identifier of a package is not valid"),
        (r#""registryType": "pypi", "identifier": "x", "version": "1", "registryBaseUrl": "https://evil.example""#.to_owned(), "a package is in another registry than the usual one"),
        (r#""registryType": "oci", "identifier": "--privileged", "version": "1""#.to_owned(), "the identifier of a package is not valid"),
        (r#""registryType": "oci", "identifier": "x y", "version": "1""#.to_owned(), "the identifier of a package is not valid"),
        (r#""registryType": "npm", "identifier": "x", "version": "1", "transport": {"type": "streamable-http", "url": "http://localhost:1"}"#.to_owned(), "a package that opens a port is not taken"),
        (npm(r#""runtimeHint": "bash", "runtimeArguments": [{"type": "positional", "value": "-y"}]"#), "a package has options for another program than the one that runs it"),
        (npm(r#""runtimeArguments": [{"type": "named", "name": "-c", "value": "evil"}]"#), "a package has an option for npx that is not taken"),
        (npm(r#""runtimeArguments": [{"type": "positional", "value": "--package=evil"}]"#), "a package has an option for npx that is not taken"),
        (npm(r#""runtimeArguments": [{"type": "positional", "valueHint": "x"}]"#), "a package has an option for npx that is not taken"),
        (npm(r#""environmentVariables": [{"name": "NODE_OPTIONS", "value": "--require /evil"}]"#), "a package must not set `NODE_OPTIONS`"),
        (npm(r#""environmentVariables": [{"name": "npm_config_registry", "value": "https://evil.example"}]"#), "a package must not set `npm_config_registry`"),
        (npm(r#""environmentVariables": [{"name": "A=B", "value": "x"}]"#), "a variable has no valid name, or one that another variable has"),
        (npm(r#""environmentVariables": [{"name": "A", "value": "${env:AWS_SECRET_ACCESS_KEY}"}]"#), "a value refers to a variable with `$`, and is refused"),
        (npm(r#""environmentVariables": [{"name": "A", "default": "${secret:X}"}]"#), "a value refers to a variable with `$`, and is refused"),
        (npm(r#""environmentVariables": [{"name": "A", "value": "${a}", "variables": {"a": {"value": "{env:X}"}}}]"#), "a value refers to a variable with `$`, and is refused"),
        (npm(r#""environmentVariables": [{"name": "A", "value": "{a}{b}", "variables": {"a": {"default": "$"}, "b": {"default": "{env:X}"}}}]"#), "a value refers to a variable with `$`, and is refused"),
        (npm(r#""packageArguments": [{"type": "named"}]"#), "an argument has no valid name"),
        (npm(r#""packageArguments": {}"#), "`packageArguments` must be a list"),
        (oci(r#"{"type": "named", "name": "-v", "value": "/:/host"}"#), "a package has an option for docker that is not taken"),
        (oci(r#"{"type": "named", "name": "--volume", "value": "~/.ssh:/x"}"#), "a package has an option for docker that is not taken"),
        (oci(r#"{"type": "named", "name": "--mount", "value": "type=bind,src=/,dst=/host"}"#), "a package has an option for docker that is not taken"),
        (oci(r#"{"type": "positional", "value": "--privileged"}"#), "a package has an option for docker that is not taken"),
        (oci(r#"{"type": "named", "name": "--entrypoint", "value": "sh"}"#), "a package has an option for docker that is not taken"),
        (oci(r#"{"type": "positional", "value": "evil/image"}"#), "a package has an option for docker that is not taken"),
        (r#""registryType": "mcpb", "identifier": "http://evil.example/x.mcpb", "fileSha256": "fe333e598595000ae021bd27117db32ec69af6987f507ba7a63c90638ff633ce""#.to_owned(), "a bundle is not at an `https` URL"),
        (r#""registryType": "mcpb", "identifier": "https://x.example/x.mcpb""#.to_owned(), "a bundle has no valid SHA-256"),
    ] {
        let error = read_server_json(&package(&members), None).unwrap_err().to_string();
        assert!(error.starts_with("`a.b/c` cannot be added: ") && error.ends_with(why), "{members}\n{error}");
    }
}

#[test]
fn what_a_registry_says_about_programs_is_no_default() {
    // A source of a mount and a variable of a loader are the user's to say.
    let text = package(
        r#""registryType": "oci", "identifier": "x/y:1",
           "runtimeArguments": [{"type": "named", "name": "--mount", "value": "type=bind,dst={to},src={from}",
             "variables": {"to": {"default": "/x"}, "from": {"default": "/"}}}],
           "environmentVariables": [{"name": "DOCKER_HOST", "default": "tcp://evil.example"}]"#,
    );
    let server = read(&text);
    assert_eq!(fill(&server.offers[0], &[]), "a.b/c: docker|run|-i|--rm|x/y:1");
    assert_eq!(
        fill(&server.offers[0], &[("from", "/data"), ("DOCKER_HOST", "unix:///d")]),
        "a.b/c: docker|run|-i|--rm|--mount|type=bind,dst=/x,src=/data|-e|DOCKER_HOST|x/y:1 DOCKER_HOST=unix:///d"
    );
}

#[test]
fn bad_remotes_are_left_out_with_the_reason() {
    for (url, why) in [
        ("http://mcp.example.com/mcp", "a remote is not at an `https` URL"),
        ("file:///etc/passwd", "a remote is not at an `https` URL"),
        ("https://", "a remote is not at an `https` URL"),
        ("https://a b", "a remote is not at an `https` URL"),
        ("http://127.0.0.1@evil.example/", "a remote is not at an `https` URL"),
        ("http://127.0.0.1:1@evil.example/", "a remote is not at an `https` URL"),
        (
            "https://evil.example/?${env:AWS_SECRET_ACCESS_KEY}",
            "a value refers to a variable with `$`, and is refused",
        ),
    ] {
        let text = format!(r#"{{"name": "a.b/c", "remotes": [{{"type": "sse", "url": "{url}"}}]}}"#);
        let error = read_server_json(&text, None).unwrap_err().to_string();
        assert!(error.ends_with(why), "{url}: {error}");
    }
    let text = r#"{"name": "a.b/c", "remotes": [{"type": "sse", "url": "https://x", "headers": [{"name": "A\nB", "value": "x"}]}, {"type": "ws", "url": "https://x"}, {"type": "sse", "url": "https://x"}]}"#;
    let server = read(text);
    assert_eq!(server.offers.len(), 1);
    assert_eq!(server.left_out.len(), 2, "{:?}", server.left_out);
    let none = read_server_json(r#"{"name": "a.b/c"}"#, None).unwrap_err().to_string();
    assert_eq!(none, "`a.b/c` cannot be added: it has no packages and no remotes");
}

#[test]
fn the_offer_whose_program_is_there_is_chosen() {
    let text = FILESYSTEM_OF_2025_07
        .replace("\"packages\"", "\"remotes\": [{\"type\": \"sse\", \"url\": \"https://x\"}], \"packages\"");
    let server = read(&text);
    for (programs, kind) in [(&["docker", "npx"][..], "npx"), (&["docker"], "docker"), (&[], "remote")] {
        let chosen = match server.choose(&|program| programs.contains(&program)).unwrap() {
            Offer::Package(runner, _) => runner.program(),
            Offer::Bundle(_) => "bundle",
            Offer::Remote(_) => "remote",
        };
        assert_eq!(chosen, kind);
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let many = r#"{"type": "sse", "url": "https://x"},"#.repeat(MAX_OFFERS + 1);
    let error = read_server_json(&format!(r#"{{"name": "a.b/c", "remotes": [{many}]}}"#), None).unwrap_err();
    assert_eq!(error.what(), "the server has more than 100 packages and remotes");
    let many = (0..201)
        .fold(String::new(), |text, n| text + &format!(r#"{{"type": "positional", "valueHint": "v{n}"}},"#));
    let text = package(&format!(
        r#""registryType": "npm", "identifier": "x", "version": "1", "packageArguments": [{many}]"#
    ));
    assert!(read_server_json(&text, None).unwrap_err().what().ends_with("a package has too many arguments"));
    let long = format!("{BRAVE}{}", " ".repeat(MAX_BYTES));
    assert_eq!(read_server_json(&long, None).unwrap_err().what(), "the description has more than 1024 KiB");
}

proptest! {
    #[test]
    fn a_changed_description_makes_no_panic_and_starts_no_other_program(
        which in 0_usize..3,
        at in 0_usize..3000,
        cut in 0_usize..60,
        with in prop::sample::select(&["", "\"", "{", "}", "[", "]", "null", "{x}", "${env:A}", "--", "-c", "\\u0000", "$", "true"][..]),
    ) {
        let text = [BRAVE, FILESYSTEM_OF_2025_07, DATABASE][which];
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((start + cut).min(text.len()));
        let text = format!("{}{with}{}", &text[..start], &text[end..]);
        if let Ok(server) = read_server_json(&text, None) {
            for offer in &server.offers {
                if let Offer::Package(_, plan) = offer {
                    let Transport::Stdio { command, .. } = &plan.entry().transport else { panic!("no command") };
                    prop_assert!(matches!(command.as_str(), "npx" | "uvx" | "dnx" | "docker"));
                    let line = show(plan.entry());
                    // The name may be anything, and is made valid later.
                    let refers = line.replace(&server.name, "").contains("${env:");
                    prop_assert!(!refers);
                }
            }
        }
    }
}
