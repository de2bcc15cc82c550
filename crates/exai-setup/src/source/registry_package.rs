//! A package of a `server.json`, turned into the command that runs it.
//!
//! A registry answer chooses a package, and never a program: the program is that of the kind of package, identifiers and
//! versions are checked, and of the options for the program only those that are known to be harmless are taken.

use super::plan::{Argument, Plan};
use super::question::AnswerKind;
use super::registry_input::{Input, Questions, member, member_flag, member_list, member_text};
use super::registry_name::check_version;
use super::registry_url::is_safe_url;
use super::runner::{self, Runner};
use crate::fault::Fault;
use crate::node::Node;
use crate::{ServerEntry, Transport};

/// How many arguments and variables one package may have.
const MAX_INPUTS: usize = 200;

/// A bundle that a package points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleDownload {
    /// Where it is: an `https` URL, or an `http` URL on this machine, as a registry on this machine may name.
    pub url: String,
    /// The SHA-256 that the file must have, in small hexadecimal digits.
    pub sha256: String,
}

/// What a package comes to.
#[derive(Debug)]
pub(crate) enum Package {
    Run(Runner, Box<Plan>),
    Bundle(BundleDownload),
}

/// Reads a package. `server` is the name of the server.
pub(crate) fn read_package(node: Node<'_>, server: &str) -> Result<Package, Fault> {
    let kind = member_text(node, "registryType")?.or(member_text(node, "registryName")?).unwrap_or_default();
    let identifier = node.text("identifier")?.or(node.text("name")?).unwrap_or_default();
    let version = node.text("version")?.filter(|version| !version.is_empty());
    let base = member_text(node, "registryBaseUrl")?;
    let refuse = |what: &str| Fault::new(node.at, what.to_owned());
    if kind == "mcpb" {
        return read_download(node, identifier).map(Package::Bundle);
    }
    let transport = node.get("transport").map_or(Ok(None), |transport| transport.text("type"))?;
    if transport.is_some_and(|transport| transport != "stdio") {
        return Err(refuse("a package that opens a port is not taken"));
    }
    let Some(runner) = Runner::find(kind) else {
        return Err(refuse("the kind of package is not known"));
    };
    if let Some(version) = version {
        check_version(version).map_err(|_| refuse("the version of a package is not one version"))?;
    }
    let package = runner.name_package(identifier, version, base).map_err(refuse)?;

    let hint = member_text(node, "runtimeHint")?;
    let runtime = member_list(node, "runtimeArguments")?;
    if hint.is_some_and(|hint| hint != runner.program()) && !runtime.is_empty() {
        return Err(refuse("a package has options for another program than the one that runs it"));
    }
    let mut questions = Questions::default();
    let (env, needs) = read_variables(node, &mut questions)?;
    let mut arguments: Vec<Argument> = runner.first_words().iter().copied().map(Argument::word).collect();
    for option in runtime.iter().copied().take(MAX_INPUTS) {
        arguments.extend(read_option(option, runner, &mut questions)?);
    }
    if runner == Runner::Docker {
        // Docker takes the values from its own environment, so that no secret stands on a command line.
        arguments.extend(env.iter().zip(needs).map(|((name, _), needs)| Argument {
            words: vec!["-e".to_owned(), name.clone()],
            needs,
            ..Argument::default()
        }));
    }
    arguments.push(Argument::word(package));
    arguments.extend(runner.last_words().iter().copied().map(Argument::word));
    let package_arguments = member_list(node, "packageArguments")?;
    if package_arguments.len() > MAX_INPUTS || runtime.len() > MAX_INPUTS {
        return Err(refuse("a package has too many arguments"));
    }
    let own = package_arguments.into_iter().enumerate();
    let own: Vec<Argument> = own
        .map(|(place, argument)| read_argument(argument, place, &mut questions))
        .collect::<Result<_, _>>()?;
    if !own.is_empty() {
        arguments.extend(runner.separator().map(Argument::word));
        arguments.extend(own);
    }
    let transport = Transport::Stdio {
        command: runner.program().to_owned(),
        args: Vec::new(),
        env,
        cwd: None,
        env_file: None,
    };
    let entry = ServerEntry::new(server, transport);
    Ok(Package::Run(runner, Box::new(Plan::with_arguments(entry, arguments, questions.list, Vec::new()))))
}

fn read_download(node: Node<'_>, url: &str) -> Result<BundleDownload, Fault> {
    let sha256 = member_text(node, "fileSha256")?.unwrap_or_default();
    let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        return Err(Fault::new(node.at, "a bundle has no valid SHA-256"));
    }
    if !is_safe_url(url) {
        return Err(Fault::new(node.at, "a bundle is not at an `https` URL"));
    }
    Ok(BundleDownload { url: url.to_owned(), sha256: sha256.to_owned() })
}

type Variables = (Vec<(String, String)>, Vec<Vec<String>>);

/// The variables of a package, and for each the texts that must be there for it to be.
fn read_variables(node: Node<'_>, questions: &mut Questions) -> Result<Variables, Fault> {
    let list = member_list(node, "environmentVariables")?;
    if list.len() > MAX_INPUTS {
        return Err(Fault::new(node.at, "a package has too many variables"));
    }
    let mut env: Vec<(String, String)> = Vec::new();
    let mut needs = Vec::new();
    for variable in list {
        let name = variable.text("name")?.unwrap_or_default();
        if !crate::variables::is_identifier(name) || env.iter().any(|(other, _)| other == name) {
            return Err(Fault::new(
                variable.at,
                "a variable has no valid name, or one that another variable has",
            ));
        }
        let input = questions.read(variable, name)?;
        if member_flag(variable, "isSecret")? {
            questions.change(&input.keys, |question| question.secret = true);
        }
        if runner::chooses_programs(name) {
            if input.fixed {
                return Err(Fault::new(variable.at, format!("a package must not set `{name}`")));
            }
            // The user may choose a program.
            questions.change(&input.keys, |question| question.default.clear());
        }
        needs.push(vec![input.text.clone()]);
        env.push((name.to_owned(), input.text));
    }
    Ok((env, needs))
}

/// An option for the program that runs the package.
fn read_option(node: Node<'_>, runner: Runner, questions: &mut Questions) -> Result<Option<Argument>, Fault> {
    let refuse =
        || Fault::new(node.at, format!("a package has an option for {} that is not taken", runner.program()));
    let fixed = node.text("value")?;
    if node.text("type")? == Some("named") {
        let name = node.text("name")?.unwrap_or_default();
        let argument = read_argument(node, 0, questions)?;
        let value = argument.words.get(1).map(String::as_str);
        return match runner.judge_option(name, value) {
            runner::Verdict::Taken => Ok(Some(argument)),
            runner::Verdict::Mount => {
                // What the container sees of this machine is the user's to say, and no default is.
                let source = value.and_then(runner::find_mount_source).map(str::to_owned);
                let source: Vec<String> = source.into_iter().collect();
                questions.change(&source, |question| question.default.clear());
                Ok(Some(argument))
            }
            runner::Verdict::Given => Ok(None),
            runner::Verdict::Refused => Err(refuse()),
        };
    }
    let Some(text) = fixed.filter(|text| !text.contains('{')) else { return Err(refuse()) };
    super::registry_input::check_literal(text, node.at)?;
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    match runner.judge_option(name, value) {
        runner::Verdict::Taken => Ok(Some(Argument::word(text))),
        runner::Verdict::Given => Ok(None),
        runner::Verdict::Mount | runner::Verdict::Refused => Err(refuse()),
    }
}

/// An argument of the package: `value`, or `--name value`.
fn read_argument(node: Node<'_>, place: usize, questions: &mut Questions) -> Result<Argument, Fault> {
    let repeated = member_flag(node, "isRepeated")?;
    let named = node.text("type")? == Some("named");
    let flag = if named { node.text("name")?.unwrap_or_default() } else { "" };
    if named && (flag.is_empty() || flag.contains("${") || flag.contains('\0')) {
        return Err(Fault::new(node.at, "an argument has no valid name"));
    }
    if named && is_switch(node)? {
        return read_switch(node, flag, questions);
    }
    let hint = member_text(node, "valueHint")?.filter(|hint| !hint.is_empty());
    let own = if named { flag.to_owned() } else { format!("argument-{}", place + 1) };
    let Input { text, keys, .. } = questions.read(node, hint.unwrap_or(&own))?;
    if member_flag(node, "isSecret")? {
        questions.change(&keys, |question| question.secret = true);
    }
    if repeated {
        questions.change(&keys, |question| question.multiple = true);
    }
    let words = match flag {
        "" => vec![text],
        flag if flag.ends_with('=') => vec![format!("{flag}{text}")],
        flag => vec![flag.to_owned(), text],
    };
    Ok(Argument { words, repeated, ..Argument::default() })
}

/// Whether a named argument takes no value: nothing in it says what a value would be, or it is yes or no.
fn is_switch(node: Node<'_>) -> Result<bool, Fault> {
    if node.text("value")?.is_some_and(str::is_empty) {
        return Ok(true);
    }
    let says_value = ["value", "default", "choices", "variables", "placeholder", "description"];
    let has_value =
        says_value.iter().any(|key| node.get(key).is_some()) || member(node, "valueHint").is_some();
    Ok(match node.text("format")? {
        Some("boolean") => node.get("value").is_none(),
        Some(_) => false,
        None => !has_value,
    })
}

fn read_switch(node: Node<'_>, flag: &str, questions: &mut Questions) -> Result<Argument, Fault> {
    let word = Argument::word(flag);
    if node.text("format")? != Some("boolean") {
        return Ok(word);
    }
    let Input { keys, .. } = questions.read(node, flag)?;
    questions.change(&keys, |question| question.kind = AnswerKind::Flag);
    Ok(Argument { switch: keys.into_iter().next(), ..word })
}
