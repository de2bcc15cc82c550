//! References to variables, from the syntax of a client into that of `config.toml`.

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

/// Writes each reference to an environment variable as `${env:NAME}`.
///
/// A reference that `config.toml` has no equal for stays as it is: `${NAME:-default}`, `${input:token}`,
/// `${workspaceFolder}`.
pub(crate) fn translate(text: &str, syntaxes: &[VariableSyntax]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['$', '{']) {
        let (before, reference) = rest.split_at(at);
        result.push_str(before);
        if let Some((name, length)) = read_reference(reference, syntaxes) {
            result.extend(["${env:", name, "}"]);
            rest = &reference[length..];
        } else {
            // `${env:NAME}` of a client without that syntax is not `{env:NAME}` of another one, so both signs pass at once.
            let length = if reference.starts_with("${") { 2 } else { 1 };
            result.push_str(&reference[..length]);
            rest = &reference[length..];
        }
    }
    result.push_str(rest);
    result
}

/// The name of the variable that a text begins with, and the length of the reference.
fn read_reference<'t>(text: &'t str, syntaxes: &[VariableSyntax]) -> Option<(&'t str, usize)> {
    let within = |open: &str| {
        let inner = text.strip_prefix(open)?;
        let name = leading_name(inner)?;
        inner[name.len()..].starts_with('}').then_some((name, open.len() + name.len() + 1))
    };
    syntaxes.iter().find_map(|syntax| match syntax {
        // What VS Code and its kin call by a name of their own is no environment variable.
        VariableSyntax::Braces => within("${").filter(|(name, _)| !OF_EDITORS.contains(name)),
        VariableSyntax::EnvBraces => within("${env:"),
        VariableSyntax::EnvBracesAlone => within("{env:"),
        VariableSyntax::Dollar => {
            let name = leading_name(text.strip_prefix('$')?)?;
            Some((name, name.len() + 1))
        }
    })
}

const OF_EDITORS: &[&str] =
    &["workspaceFolder", "workspaceFolderBasename", "userHome", "pathSeparator", "file", "cwd"];

/// The name of a variable that a text begins with.
fn leading_name(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text[..end].starts_with(|c: char| !c.is_ascii_digit()).then(|| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::VariableSyntax::{Braces, Dollar, EnvBraces, EnvBracesAlone};
    use super::*;

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
            assert_eq!(translate(text, syntaxes), *expected, "{syntaxes:?}");
        }
    }
}
