//! References to variables, as other clients write them, in the syntax of `config.toml`.
//!
//! Claude Code: <https://code.claude.com/docs/en/mcp#environment-variable-expansion-in-mcpjson>, Cursor:
//! <https://cursor.com/docs/context/mcp#config-interpolation>, VS Code:
//! <https://code.visualstudio.com/docs/reference/variables-reference>, opencode:
//! <https://opencode.ai/docs/config/#variables>.

/// Names in `${…}` that other clients resolve themselves. They are no environment variables.
const OF_CLIENTS: [&str; 12] = [
    "userHome",
    "workspaceFolder",
    "workspaceFolderBasename",
    "workspaceRoot",
    "pathSeparator",
    "cwd",
    "execPath",
    "file",
    "fileDirname",
    "relativeFile",
    "defaultBuildTask",
    "extensionInstallFolder",
];

/// What stands between the parts of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Plain text.
    Plain(&'a str),
    /// The inside of `${…}`.
    Dollar(&'a str),
    /// `NAME` of `{env:NAME}` (opencode).
    BraceEnvironment(&'a str),
    /// The inside of `{file:…}` (opencode).
    BraceFile(&'a str),
}

impl Piece<'_> {
    /// Writes the piece as it was.
    pub(crate) fn write(&self, text: &mut String) {
        let (before, inside, after) = match self {
            Piece::Plain(plain) => ("", plain, ""),
            Piece::Dollar(inside) => ("${", inside, "}"),
            Piece::BraceEnvironment(name) => ("{env:", name, "}"),
            Piece::BraceFile(path) => ("{file:", path, "}"),
        };
        text.push_str(before);
        text.push_str(inside);
        text.push_str(after);
    }
}

/// Splits a text at its references. Nothing is lost: a `${` without its `}` is plain text.
pub(crate) fn split(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut plain = 0;
    while let Some(brace) = rest.get(plain..).and_then(|ahead| ahead.find('{')).map(|at| plain + at) {
        let dollar = brace > 0 && rest.as_bytes().get(brace - 1) == Some(&b'$');
        // The next brace of either kind, so that a text of many braces is not searched again and again.
        let inner = rest.get(brace + 1..).unwrap_or_default();
        let Some(length) = inner.find(['{', '}']) else { break };
        let closed = inner.as_bytes().get(length) == Some(&b'}');
        let inside = inner.get(..length).filter(|_| closed);
        let piece = match inside {
            Some(inside) if dollar && !inside.contains('$') => Piece::Dollar(inside),
            Some(inside) if !dollar => match inside.split_once(':') {
                Some(("env", name)) if is_identifier(name) => Piece::BraceEnvironment(name),
                Some(("file", path)) => Piece::BraceFile(path),
                _ => {
                    plain = brace + 1 + length;
                    continue;
                }
            },
            _ => {
                plain = brace + 1 + length;
                continue;
            }
        };
        let before = rest.get(..brace - usize::from(dollar)).unwrap_or_default();
        if !before.is_empty() {
            pieces.push(Piece::Plain(before));
        }
        pieces.push(piece);
        rest = inner.get(length + 1..).unwrap_or_default();
        plain = 0;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

/// A text in the syntax of `config.toml`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Translated {
    /// `${V}`, `${env:V}` and `{env:V}` are `${env:V}`; everything else is as it was.
    pub(crate) text: String,
    /// The `ID` of each `${input:ID}`.
    pub(crate) inputs: Vec<String>,
    /// The kind or name of each reference that exai cannot resolve, without a default value that may stand in it.
    pub(crate) unresolved: Vec<String>,
}

/// Translates the references of a text.
pub(crate) fn translate(text: &str) -> Translated {
    let mut result = Translated::default();
    for piece in split(text) {
        match piece {
            Piece::Plain(plain) => result.text.push_str(plain),
            Piece::BraceEnvironment(name) => push_reference(&mut result.text, "env:", name),
            Piece::BraceFile(path) => {
                result.text.push_str("{file:");
                result.text.push_str(path);
                result.text.push('}');
                result.unresolved.push("{file:…}".to_owned());
            }
            Piece::Dollar(inside) => translate_dollar(inside, &mut result),
        }
    }
    result
}

fn translate_dollar(inside: &str, result: &mut Translated) {
    if is_identifier(inside) && !OF_CLIENTS.contains(&inside) {
        return push_reference(&mut result.text, "env:", inside);
    }
    push_reference(&mut result.text, "", inside);
    let (kind, name) = inside.split_once(':').unwrap_or((inside, ""));
    match kind {
        "env" | "secret" if !name.is_empty() => {}
        "input" if !name.is_empty() => result.inputs.push(name.to_owned()),
        _ if inside == "client.cwd" => {}
        // `${V:-default}` of Claude Code: the default value may be a secret.
        _ if name.is_empty() || name.starts_with('-') => result.unresolved.push(format!("${{{kind}}}")),
        _ => result.unresolved.push(format!("${{{kind}:…}}")),
    }
}

fn push_reference(text: &mut String, kind: &str, name: &str) {
    text.push_str("${");
    text.push_str(kind);
    text.push_str(name);
    text.push('}');
}

/// Whether a text can be the name of an environment variable everywhere.
pub(crate) fn is_identifier(text: &str) -> bool {
    let letter = |character: char| character.is_ascii_alphabetic() || character == '_';
    text.starts_with(letter) && text.chars().all(|character| letter(character) || character.is_ascii_digit())
}

/// Whether a text can be the name of an environment variable here or there: `ProgramFiles(x86)` is one, `A=B` is none.
pub(crate) fn is_variable_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '(' | ')');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_translated_and_the_rest_stays() {
        for (written, translated) in [
            ("", ""),
            ("${API_KEY}", "${env:API_KEY}"),
            ("Bearer ${env:TOKEN}!", "Bearer ${env:TOKEN}!"),
            ("{env:CONTEXT7_API_KEY}", "${env:CONTEXT7_API_KEY}"),
            ("a${X}b{env:Y}c", "a${env:X}b${env:Y}c"),
            ("${input:token}", "${input:token}"),
            ("${workspaceFolder}/x", "${workspaceFolder}/x"),
            ("${userHome}", "${userHome}"),
            ("${secret:A}", "${secret:A}"),
            ("{}", "{}"),
            ("{\"a\": {\"b\": 1}}", "{\"a\": {\"b\": 1}}"),
            ("${", "${"),
            ("${}", "${}"),
            ("${a", "${a"),
            ("$X $ {X}", "$X $ {X}"),
            ("${${X}}", "${${env:X}}"),
            ("{env:}", "{env:}"),
            ("{env:${X}}", "{env:${env:X}}"),
            ("ä${X}ö", "ä${env:X}ö"),
        ] {
            assert_eq!(translate(written).text, translated, "{written}");
        }
    }

    #[test]
    fn inputs_and_what_cannot_be_resolved_are_reported_without_values() {
        let found =
            translate("${input:a}${input:b c}${workspaceFolder}${V:-hunter2}{file:~/k}${command:x.y}");
        assert_eq!(found.inputs, ["a", "b c"]);
        assert_eq!(found.unresolved, ["${workspaceFolder}", "${V}", "{file:…}", "${command:…}"]);
        assert_eq!(translate("${env:X}${secret:X}${client.cwd}").unresolved, Vec::<String>::new());
    }
}
