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

/// A syntax in which a client refers to an environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableSyntax {
    /// `${NAME}`.
    Braces,
    /// `${env:NAME}`, which is the syntax of `config.toml`.
    EnvBraces,
    /// `{env:NAME}`.
    EnvBracesAlone,
    /// `$NAME`.
    Dollar,
}

/// The syntaxes that are read where no client is known. `$NAME` is none of them: it may be a part of a password.
pub(crate) const OF_ANY_CLIENT: &[VariableSyntax] =
    &[VariableSyntax::Braces, VariableSyntax::EnvBraces, VariableSyntax::EnvBracesAlone];

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

impl<'t> Piece<'t> {
    /// The `ID` of `${input:ID}`.
    pub(crate) fn input(&self) -> Option<&'t str> {
        let Piece::Dollar(inside) = self else { return None };
        inside.strip_prefix("input:")
    }

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
    /// References to environment variables are `${env:V}`; everything else is as it was.
    pub(crate) text: String,
    /// The `ID` of each `${input:ID}`.
    pub(crate) inputs: Vec<String>,
    /// The kind or name of each reference that exai cannot resolve, without a default value that may stand in it.
    pub(crate) unresolved: Vec<String>,
}

/// Translates the references of a text that are in one of `syntaxes`.
pub(crate) fn translate(text: &str, syntaxes: &[VariableSyntax]) -> Translated {
    let has = |syntax| syntaxes.contains(&syntax);
    let mut result = Translated::default();
    for piece in split(text) {
        match piece {
            Piece::Plain(plain) if has(VariableSyntax::Dollar) => translate_plain(plain, &mut result.text),
            Piece::BraceEnvironment(name) if has(VariableSyntax::EnvBracesAlone) => {
                push_reference(&mut result.text, name);
            }
            Piece::Dollar(name)
                if has(VariableSyntax::Braces) && is_identifier(name) && !OF_CLIENTS.contains(&name) =>
            {
                push_reference(&mut result.text, name);
            }
            other => {
                other.write(&mut result.text);
                report(&other, &mut result);
            }
        }
    }
    result
}

/// Translates each `$NAME`.
fn translate_plain(plain: &str, text: &mut String) {
    let mut parts = plain.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        if is_identifier(name) {
            push_reference(text, name);
            text.push_str(rest);
        } else {
            text.push('$');
            text.push_str(part);
        }
    }
}

/// Reports what a reference that stays as it is asks for.
fn report(piece: &Piece<'_>, result: &mut Translated) {
    let inside = match piece {
        Piece::Dollar(inside) => inside,
        Piece::BraceFile(_) => return result.unresolved.push("{file:…}".to_owned()),
        Piece::Plain(_) | Piece::BraceEnvironment(_) => return,
    };
    let (kind, name) = inside.split_once(':').unwrap_or((inside, ""));
    match kind {
        "env" | "secret" if !name.is_empty() => {}
        "input" if !name.is_empty() => result.inputs.push(name.to_owned()),
        _ if *inside == "client.cwd" => {}
        // `${V:-default}` of Claude Code: the default value may be a secret.
        _ if name.is_empty() || name.starts_with('-') => result.unresolved.push(format!("${{{kind}}}")),
        _ => result.unresolved.push(format!("${{{kind}:…}}")),
    }
}

fn push_reference(text: &mut String, name: &str) {
    text.extend(["${env:", name, "}"]);
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
    use super::VariableSyntax::{Braces, Dollar, EnvBraces, EnvBracesAlone};
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
            assert_eq!(translate(written, OF_ANY_CLIENT).text, translated, "{written}");
        }
    }

    #[test]
    fn references_of_each_syntax_are_translated() {
        let cases: &[(&[VariableSyntax], &str, &str)] = &[
            (&[Braces], "Bearer ${TOKEN}!", "Bearer ${env:TOKEN}!"),
            (&[Braces], "${TOKEN:-none} ${input:t} $TOKEN ${", "${TOKEN:-none} ${input:t} $TOKEN ${"),
            (&[Braces], "${workspaceFolder}/${A}", "${workspaceFolder}/${env:A}"),
            (&[EnvBraces], "${env:A}${A}{env:A}", "${env:A}${A}{env:A}"),
            (&[EnvBracesAlone], "{env:A}-{file:a}-${env:A}", "${env:A}-{file:a}-${env:A}"),
            (&[Braces, Dollar], "$A/${B}/$1/$$C/ä$", "${env:A}/${env:B}/$1/$${env:C}/ä$"),
            (&[], "$A ${B} {env:C}", "$A ${B} {env:C}"),
        ];
        for (syntaxes, text, expected) in cases {
            assert_eq!(translate(text, syntaxes).text, *expected, "{syntaxes:?}");
        }
    }

    #[test]
    fn inputs_and_what_cannot_be_resolved_are_reported_without_values() {
        let found = translate(
            "${input:a}${input:b c}${workspaceFolder}${V:-hunter2}{file:~/k}${command:x.y}",
            OF_ANY_CLIENT,
        );
        assert_eq!(found.inputs, ["a", "b c"]);
        assert_eq!(found.unresolved, ["${workspaceFolder}", "${V}", "{file:…}", "${command:…}"]);
        assert_eq!(
            translate("${env:X}${secret:X}${client.cwd}", OF_ANY_CLIENT).unresolved,
            Vec::<String>::new()
        );
    }
}
