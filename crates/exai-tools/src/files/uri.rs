//! Paths in `file:` URIs (RFC 8089), as clients write them.

use percent_encoding::percent_decode_str;

/// How paths are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Unix,
    Windows,
}

/// How paths are written on this system.
pub(super) const HERE: Style = if std::path::MAIN_SEPARATOR == '\\' { Style::Windows } else { Style::Unix };

/// Whether a text is meant as a `file:` URI.
pub(super) fn is_file_uri(text: &str) -> bool {
    text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
}

/// The absolute path in a URI. The error says what is wrong with the URI, as the end of a sentence.
///
/// `?` and `#` count as parts of the path: what many clients write is not encoded, and the path before such a character
/// would be another directory.
pub(super) fn path_of(uri: &str, style: Style) -> Result<String, &'static str> {
    if !is_file_uri(uri) {
        return Err("is no file: URI");
    }
    let mut rest = uri[5..].to_owned();
    if style == Style::Windows {
        rest = rest.replace('\\', "/");
    }
    let encoded = match rest.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if style == Style::Windows && is_drive(authority) {
                // `file://C:/…`, where a slash is missing.
                format!("/{rest}")
            } else if authority.is_empty() || authority.eq_ignore_ascii_case("localhost") {
                path.to_owned()
            } else {
                return Err("is on another machine");
            }
        }
        None => rest,
    };
    let path = percent_decode_str(&encoded).decode_utf8().map_err(|_| "is no UTF-8")?.into_owned();
    if path.contains('\0') {
        return Err("holds a zero character");
    }
    if !path.starts_with('/') {
        return Err("names no whole path");
    }
    match style {
        Style::Unix => Ok(path),
        Style::Windows => windows_path(&path.replace('\\', "/")),
    }
}

/// `/c:/Users` as `C:\Users`.
fn windows_path(path: &str) -> Result<String, &'static str> {
    if path.starts_with("//") {
        return Err("is on another machine");
    }
    let (drive, rest) = path[1..].split_at(path[1..].find('/').unwrap_or(path.len() - 1));
    if !is_drive(drive) {
        return Err("has no drive letter");
    }
    let letter = drive[..1].to_ascii_uppercase();
    let rest = if rest.is_empty() { "/" } else { rest };
    Ok(format!("{letter}:{}", rest.replace('/', "\\")))
}

/// `C:`, or `C|` as it was once written.
fn is_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':' | b'|'] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_unix() {
        let table = [
            ("file:///home/u/p", Ok("/home/u/p")),
            ("FILE:///home/u", Ok("/home/u")),
            ("file://localhost/home/u", Ok("/home/u")),
            ("file://LOCALHOST/home", Ok("/home")),
            ("file:/home/u", Ok("/home/u")),
            ("file:///", Ok("/")),
            ("file:///a%20b/%C3%A4%E5%90%8D", Ok("/a b/ä名")),
            ("file:///c#x?y", Ok("/c#x?y")),
            ("file:///c%23x", Ok("/c#x")),
            ("file:///100%", Ok("/100%")),
            ("file:///a/../../b", Ok("/a/../../b")),
            ("file:///c%3A/Users", Ok("/c:/Users")),
            ("file:///a\\b", Ok("/a\\b")),
            ("file://server/share", Err("is on another machine")),
            ("file://", Err("names no whole path")),
            ("file:", Err("names no whole path")),
            ("file:home", Err("names no whole path")),
            ("file:///%ff", Err("is no UTF-8")),
            ("file:///a%00b", Err("holds a zero character")),
            ("http://localhost/", Err("is no file: URI")),
            ("vscode-remote://wsl/home", Err("is no file: URI")),
            ("/home/u", Err("is no file: URI")),
            ("fil", Err("is no file: URI")),
            ("äöü:", Err("is no file: URI")),
            ("", Err("is no file: URI")),
        ];
        for (uri, path) in table {
            assert_eq!(path_of(uri, Style::Unix).as_deref(), path.as_ref().copied(), "{uri}");
        }
    }

    #[test]
    fn paths_of_windows() {
        let table = [
            ("file:///C:/Users/u", Ok(r"C:\Users\u")),
            ("file:///c%3A/Users/a%20b", Ok(r"C:\Users\a b")),
            ("file:///c%3a%5CUsers", Ok(r"C:\Users")),
            ("file:///C|/x", Ok(r"C:\x")),
            ("file:/d:/x", Ok(r"D:\x")),
            ("file:///C:", Ok(r"C:\")),
            ("file:///C:/", Ok(r"C:\")),
            ("file://localhost/C:/x", Ok(r"C:\x")),
            ("file://C:/x", Ok(r"C:\x")),
            (r"file://C:\x\y", Ok(r"C:\x\y")),
            (r"file:///C:\x\y", Ok(r"C:\x\y")),
            ("file://server/share/x", Err("is on another machine")),
            ("file:////server/share", Err("is on another machine")),
            ("file:///%5C%5Cserver/share", Err("is on another machine")),
            (r"file:\\server\share", Err("is on another machine")),
            ("file:///home/u", Err("has no drive letter")),
            ("file:///", Err("has no drive letter")),
            ("file:///CC:/x", Err("has no drive letter")),
            ("file:C:/x", Err("names no whole path")),
        ];
        for (uri, path) in table {
            assert_eq!(path_of(uri, Style::Windows).as_deref(), path.as_ref().copied(), "{uri}");
        }
    }
}
