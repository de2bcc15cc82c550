//! What every request for a token, or for a device code, must be.

use super::answer::Refusal;
use super::form::Form;
use crate::http::Request;

/// Checks that a request brings a form, in its body alone, and nothing twice.
pub(super) fn check_form(request: &Request, form: &Form) -> Result<(), Refusal> {
    let wrong = |why: &str| Err(Refusal::new("invalid_request", why));
    let kind = request.header("content-type").and_then(|kind| kind.split(';').next()).map(str::trim);
    if request.method != "POST" {
        return Err(Refusal { status: 405, ..Refusal::new("invalid_request", "use POST") });
    }
    if kind != Some("application/x-www-form-urlencoded") {
        return wrong("send a form");
    }
    if request.path.contains('?') {
        return wrong("the fields belong into the body");
    }
    match form.repeated() {
        Some(name) => wrong(&format!("{name} came twice")),
        None => Ok(()),
    }
}

/// Checks that `resource` is the one of the grant. MCP wants it in every request for a token.
pub(super) fn check_resource(form: &Form, resource: &str) -> Result<(), Refusal> {
    let is_same = form.get("resource") == Some(resource);
    is_same.then_some(()).ok_or_else(|| Refusal::new("invalid_target", "resource is not that of the grant"))
}
