//! What the transport must know of the tools of a server in the modern era: which of their arguments a call repeats in
//! headers. A tool that marks arguments wrongly must not be offered (basic/transports/streamable-http of the
//! specification, "Custom Headers from Tool Parameters").

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use exai_mux::{ParameterHeader, read_parameter_headers};
use exai_proto::modern::{CLIENT_CAPABILITIES, CLIENT_INFO, PROTOCOL_VERSION};
use exai_proto::request_metadata::{PARAMETER, encode};
use exai_proto::{answer, json};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::limits::MAX_MARKED_TOOLS;

/// The tools with marked arguments, by name.
#[derive(Debug, Default)]
pub(super) struct KnownTools(Mutex<HashMap<String, Vec<ParameterHeader>>>);

impl KnownTools {
    fn marked(&self) -> MutexGuard<'_, HashMap<String, Vec<ParameterHeader>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from an answer to `tools/list`. Returns it without the tools that mark their arguments wrongly.
    pub(super) fn learn(&self, server: &str, answer: Bytes) -> Bytes {
        let has_marks = memchr::memmem::find(&answer, b"x-mcp-header").is_some();
        if !has_marks && self.marked().is_empty() {
            return answer;
        }
        let Some(list) = json::find_path(&answer, 0..answer.len(), &["result", "tools"]) else {
            return answer;
        };
        let mut kept: Vec<&[u8]> = Vec::new();
        let mut refused = 0;
        for place in json::elements(&answer, list.clone()) {
            let tool = &answer[place];
            let Some(name) = json::find(tool, 0..tool.len(), "name").and_then(|at| json::string(tool, at))
            else {
                kept.push(tool);
                continue;
            };
            match read_parameter_headers(tool) {
                Ok(headers) => {
                    self.note(name.into_owned(), headers);
                    kept.push(tool);
                }
                Err(why) => {
                    tracing::warn!(server, tool = &*name, why, "a tool is not offered");
                    refused += 1;
                }
            }
        }
        if refused == 0 {
            return answer;
        }
        let with = [b"[".as_slice(), &kept.join(&b","[..]), b"]"].concat();
        json::splice(&answer, vec![json::Edit { at: list, with }]).into()
    }

    fn note(&self, tool: String, headers: Vec<ParameterHeader>) {
        let mut marked = self.marked();
        if headers.is_empty() {
            marked.remove(&tool);
        } else if marked.len() < MAX_MARKED_TOOLS || marked.contains_key(&tool) {
            marked.insert(tool, headers);
        }
    }

    /// The headers that repeat arguments of a call. Text, whole numbers and booleans can be repeated.
    pub(super) fn repeat_arguments(&self, call: &Bytes) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let at = |path: &[&str]| json::find_path(call, 0..call.len(), path);
        let name = at(&["params", "name"]).and_then(|at| json::string(call, at));
        let marked = name.and_then(|name| self.marked().get(&*name).cloned()).unwrap_or_default();
        let Some(arguments) = at(&["params", "arguments"]) else { return headers };
        for ParameterHeader { name, path } in marked {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(place) = json::find_path(call, arguments.clone(), &path) else { continue };
            let value = match call[place.start] {
                b'n' | b'{' | b'[' => continue,
                b'"' => json::string(call, place).map(|text| encode(&text).into_owned()),
                _ => std::str::from_utf8(&call[place]).ok().map(ToOwned::to_owned),
            };
            let name = HeaderName::from_bytes(format!("{PARAMETER}{name}").as_bytes()).ok();
            let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
            headers.extend(name.zip(value));
        }
        headers
    }
}

/// A request for a page of the tools, in the name of the client that has made a call.
pub(super) fn write_list_request(number: u64, call: &Bytes, cursor: Option<&str>) -> Bytes {
    let said = |key| {
        let at = json::find_path(call, 0..call.len(), &["params", "_meta", key])?;
        Some(format!("\"{key}\":{}", String::from_utf8_lossy(&call[at])))
    };
    let meta: Vec<String> =
        [PROTOCOL_VERSION, CLIENT_INFO, CLIENT_CAPABILITIES].into_iter().filter_map(said).collect();
    let cursor = cursor.map_or_else(String::new, |cursor| format!("\"cursor\":{},", json::quote(cursor)));
    answer::request(number, "tools/list", &format!("{{{cursor}\"_meta\":{{{}}}}}", meta.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tools: &str) -> Bytes {
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tools}],"ttlMs":0}}}}"#).into()
    }

    fn tool(name: &str, properties: &str) -> String {
        format!(r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{{{properties}}}}}}}"#)
    }

    #[test]
    fn a_tool_with_wrong_marks_is_not_offered_and_the_others_are() {
        let known = KnownTools::default();
        let good = tool("good", r#""r":{"type":"string","x-mcp-header":"Region"}"#);
        let bad = tool("bad", r#""r":{"type":"object","x-mcp-header":"Region"}"#);
        let plain = list(&good);
        assert_eq!(known.learn("s", plain.clone()), plain);
        assert_eq!(known.learn("s", list(&format!("{bad} , {good}"))), plain);
        assert_eq!(known.learn("s", list(&bad)), list(""));
    }

    #[test]
    fn marked_arguments_are_repeated_where_they_have_a_value() {
        let known = KnownTools::default();
        let properties = r#""s":{"type":"string","x-mcp-header":"S"},"n":{"type":"integer","x-mcp-header":"N"},
            "b":{"type":"boolean","x-mcp-header":"B"},"o":{"type":"object","properties":{"in":{"type":"string","x-mcp-header":"In"}}},
            "none":{"type":"string","x-mcp-header":"None"}"#;
        known.learn("s", list(&tool("t", properties)));
        let call = |arguments: &str| {
            let call = format!(
                r#"{{"id":1,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#
            );
            let headers = known.repeat_arguments(&call.into());
            let mut pairs: Vec<(String, String)> = headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
                .collect();
            pairs.sort();
            pairs
        };
        let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
            all.iter().map(|(name, value)| (format!("mcp-param-{name}"), (*value).to_owned())).collect()
        };
        let found = call(r#"{"s":"ä","n":-7,"b":true,"o":{"in":" x"},"none":null}"#);
        assert_eq!(
            found,
            pairs(&[("b", "true"), ("in", "=?base64?IHg=?="), ("n", "-7"), ("s", "=?base64?w6Q=?=")])
        );
        assert_eq!(call(r#"{"s":""}"#), pairs(&[("s", "")]));
        // Another list may mark nothing any more.
        known.learn("s", list(&tool("t", "")));
        assert_eq!(call(r#"{"s":"x"}"#), []);
    }

    #[test]
    fn a_list_is_asked_for_in_the_name_of_the_caller() {
        let call = br#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1,
            "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let asked: serde_json::Value =
            serde_json::from_slice(&write_list_request(7, &Bytes::from_static(call), Some("c")))
                .expect("JSON");
        assert_eq!(asked["params"]["cursor"], "c");
        let meta = serde_json::json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}});
        assert_eq!((&asked["id"], &asked["params"]["_meta"]), (&7.into(), &meta));
    }
}
