//! Which arguments of a tool a client repeats in HTTP headers: those that the schema of the tool marks with
//! `x-mcp-header` (basic/transports/streamable-http of the specification, "Custom Headers from Tool Parameters").

use std::borrow::Cow;
use std::ops::Range;

use exai_proto::{json, limits};

use crate::types::parameter_header::ParameterHeader;

/// Finds the marked arguments of a listed tool. A mark counts only where `properties` alone lead to it, and if it can be
/// part of a header's name.
pub(crate) fn find_all(tool: &[u8]) -> Vec<ParameterHeader> {
    let names = find_marks(tool).into_iter().filter_map(|Mark { name, path, .. }| Some((name?, path)));
    names.map(|(name, path)| ParameterHeader { name, path }).collect()
}

/// Reads the marked arguments of a listed tool as a client over HTTP must: one bad mark makes the tool unusable.
///
/// # Errors
/// What is wrong with a mark; it reads after "the tool".
pub fn read_parameter_headers(tool: &[u8]) -> Result<Vec<ParameterHeader>, String> {
    let mut found: Vec<ParameterHeader> = Vec::new();
    for Mark { name, path, value_type } in find_marks(tool) {
        let place = path.join(".");
        let name = name.ok_or_else(|| format!("marks its argument {place} with what is no header's name"))?;
        if !value_type.is_some_and(|name| ["string", "integer", "boolean"].contains(&&*name)) {
            return Err(format!("marks its argument {place}, which fits into no header"));
        }
        if found.iter().any(|other| other.name.eq_ignore_ascii_case(&name)) {
            return Err(format!("marks two arguments with {name}"));
        }
        found.push(ParameterHeader { name, path });
    }
    Ok(found)
}

/// An argument with an `x-mcp-header`.
struct Mark {
    /// `None` if it cannot be part of a header's name.
    name: Option<String>,
    /// The keys that lead from `arguments` to the argument.
    path: Vec<String>,
    /// The `type` of the argument, if it is one word.
    value_type: Option<String>,
}

fn find_marks(tool: &[u8]) -> Vec<Mark> {
    let mut found = Vec::new();
    if let Some(schema) = json::find(tool, 0..tool.len(), "inputSchema") {
        find_within(tool, schema, &mut Vec::new(), &mut found);
    }
    found
}

/// Goes no deeper than a message may be nested.
fn find_within(tool: &[u8], schema: Range<usize>, path: &mut Vec<String>, found: &mut Vec<Mark>) {
    let Some(properties) = json::find(tool, schema, "properties") else { return };
    let Ok(mut members) = json::Members::new(&tool[..properties.end], properties.start) else { return };
    while let Ok(Some(property)) = members.next_member() {
        let Some(key) = json::unescaped(&tool[property.key]) else { continue };
        path.push(key.into_owned());
        if let Some(mark) = json::find(tool, property.value.clone(), "x-mcp-header") {
            let name = json::string(tool, mark).filter(|name| is_header_name(name)).map(Cow::into_owned);
            let value_type = json::find(tool, property.value.clone(), "type");
            let value_type = value_type.and_then(|at| json::string(tool, at)).map(Cow::into_owned);
            found.push(Mark { name, path: path.clone(), value_type });
        }
        find_within(tool, property.value, path, found);
        path.pop();
    }
}

/// Whether a header can be called so: RFC 9110, 5.1.
fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=limits::NAME_CHARS).contains(&name.len()) && name.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::{find_all, read_parameter_headers};

    #[test]
    fn a_mark_counts_where_properties_alone_lead_to_it() {
        let tool = br#"{"name":"t","inputSchema":{"type":"object","x-mcp-header":"Root","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "plain":{"type":"string"},
            "odd":{"x-mcp-header":7},"none":{"x-mcp-header":""},"no_header":{"x-mcp-header":"a b"},
            "deep":{"type":"object","properties":{"n\u0061me":{"type":"integer","x-mcp-header":"Deep"}}},
            "list":{"items":{"properties":{"x":{"x-mcp-header":"Never"}}}}},
            "allOf":[{"properties":{"y":{"x-mcp-header":"Never"}}}]}}"#;
        let found: Vec<(String, String)> =
            find_all(tool).into_iter().map(|one| (one.name, one.path.join("."))).collect();
        let expected = [("Region", "region"), ("Deep", "deep.name")];
        assert_eq!(found, expected.map(|(name, path)| (name.to_owned(), path.to_owned())));
        for none in ["{}", "[]", r#"{"inputSchema":7}"#, r#"{"inputSchema":{"properties":[]}}"#] {
            assert_eq!(find_all(none.as_bytes()), []);
        }
    }

    #[test]
    fn one_bad_mark_makes_a_tool_unusable() {
        let tool = |properties: &str| {
            format!(r#"{{"name":"t","inputSchema":{{"type":"object","properties":{{{properties}}}}}}}"#)
        };
        let good =
            tool(r#""a":{"type":"string","x-mcp-header":"A"},"b":{"type":"integer","x-mcp-header":"B"}"#);
        let names = read_parameter_headers(good.as_bytes()).expect("all is well");
        assert_eq!(names.into_iter().map(|one| one.name).collect::<Vec<_>>(), ["A", "B"]);
        for bad in [
            r#""a":{"type":"string","x-mcp-header":""}"#,
            r#""a":{"type":"string","x-mcp-header":"a b"}"#,
            r#""a":{"type":"string","x-mcp-header":"a:b"}"#,
            r#""a":{"type":"string","x-mcp-header":7}"#,
            r#""a":{"type":"object","x-mcp-header":"A"}"#,
            r#""a":{"type":"number","x-mcp-header":"A"}"#,
            r#""a":{"x-mcp-header":"A"}"#,
            r#""a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}"#,
        ] {
            read_parameter_headers(tool(bad).as_bytes()).expect_err(bad);
        }
    }
}
