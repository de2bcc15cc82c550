//! Which arguments of a tool a client repeats in HTTP headers: those that the schema of the tool marks with
//! `x-mcp-header` (basic/transports/streamable-http of the specification, "Custom Headers from Tool Parameters").

use std::ops::Range;

use exai_proto::{json, limits};

use crate::types::parameter_header::ParameterHeader;

/// Finds the marked arguments of a listed tool. A mark counts only where `properties` alone lead to it, and if it can be
/// part of a header's name.
pub(crate) fn find_all(tool: &[u8]) -> Vec<ParameterHeader> {
    let mut found = Vec::new();
    if let Some(schema) = json::find(tool, 0..tool.len(), "inputSchema") {
        find_within(tool, schema, &mut Vec::new(), &mut found);
    }
    found
}

/// Goes no deeper than a message may be nested.
fn find_within(tool: &[u8], schema: Range<usize>, path: &mut Vec<String>, found: &mut Vec<ParameterHeader>) {
    let Some(properties) = json::find(tool, schema, "properties") else { return };
    let Ok(mut members) = json::Members::new(&tool[..properties.end], properties.start) else { return };
    while let Ok(Some(property)) = members.next_member() {
        let Some(key) = json::unescaped(&tool[property.key]) else { continue };
        path.push(key.into_owned());
        let mark = json::find(tool, property.value.clone(), "x-mcp-header");
        if let Some(name) = mark.and_then(|at| json::string(tool, at)).filter(|name| is_header_name(name)) {
            found.push(ParameterHeader { name: name.into_owned(), path: path.clone() });
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
    use super::find_all;

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
}
