//! The inputs of a `server.json`: texts with `{variables}`, and what the user is asked for them.

use super::plan::gap;
use super::question::{AnswerKind, Question};
use crate::fault::Fault;
use crate::node::Node;

/// How many questions one server may ask.
const MAX_QUESTIONS: usize = 200;

/// How long a default, a choice or a fixed value may be, in bytes.
const MAX_VALUE_BYTES: usize = 16 << 10;

/// The questions of one package or remote.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pub(crate) list: Vec<Question>,
}

/// What one input puts into a command line, a variable or a header.
#[derive(Debug)]
pub(crate) struct Input {
    /// The text with its gaps.
    pub(crate) text: String,
    /// The keys of its questions.
    pub(crate) keys: Vec<String>,
    /// Whether the text is what the registry says, without any answer.
    pub(crate) fixed: bool,
}

/// A member under its name in camelCase or, before 2025-09-16, in snake_case.
pub(crate) fn member<'a>(node: Node<'a>, camel: &str) -> Option<Node<'a>> {
    node.get(camel).or_else(|| node.get(&snake(camel)))
}

pub(crate) fn member_text<'a>(node: Node<'a>, camel: &str) -> Result<Option<&'a str>, Fault> {
    if node.get(camel).is_some() { node.text(camel) } else { node.text(&snake(camel)) }
}

pub(crate) fn member_flag(node: Node<'_>, camel: &str) -> Result<bool, Fault> {
    let flag = if node.get(camel).is_some() { node.flag(camel)? } else { node.flag(&snake(camel))? };
    Ok(flag.unwrap_or(false))
}

/// The elements of a list, none if it is not there.
pub(crate) fn member_list<'a>(node: Node<'a>, camel: &str) -> Result<Vec<Node<'a>>, Fault> {
    match member(node, camel) {
        None => Ok(Vec::new()),
        Some(list) => list.elements().ok_or_else(|| Fault::new(list.at, format!("`{camel}` must be a list"))),
    }
}

fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for character in camel.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

impl Questions {
    /// Reads an input. `name` is what its own question is called.
    pub(crate) fn read(&mut self, node: Node<'_>, name: &str) -> Result<Input, Fault> {
        let variables = node.get("variables");
        let Some(value) = node.text("value")? else {
            let key = self.ask(node, name)?;
            return Ok(Input { text: gap(&key), keys: vec![key], fixed: false });
        };
        let at = node.get("value").map_or(node.at, |value| value.at);
        self.fill_variables(value, at, variables)
    }

    /// A text in which `{name}` stands for a variable. A name that is no variable stays as it is.
    pub(crate) fn fill_variables(
        &mut self,
        value: &str,
        at: usize,
        variables: Option<Node<'_>>,
    ) -> Result<Input, Fault> {
        check_literal(value, at)?;
        let mut input = Input { text: String::new(), keys: Vec::new(), fixed: true };
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('{') {
            input.text.push_str(before);
            let inside = after.split_once('}');
            let known = inside.and_then(|(name, rest)| Some((name, rest, variables?.get(name)?)));
            let Some((name, after, variable)) = known else {
                input.text.push('{');
                rest = after;
                continue;
            };
            rest = after;
            if let Some(fixed) = variable.text("value")? {
                check_literal(fixed, variable.at)?;
                input.text.push_str(fixed);
            } else {
                let key = self.ask(variable, name)?;
                input.text.push_str(&gap(&key));
                input.keys.push(key);
                input.fixed = false;
            }
        }
        input.text.push_str(rest);
        Ok(input)
    }

    /// The question for an input without a value; equal questions with the same name are one.
    fn ask(&mut self, node: Node<'_>, name: &str) -> Result<String, Fault> {
        let mut question = Question::new(clean_key(name));
        question.description = node.text("description")?.map(str::to_owned);
        question.required = member_flag(node, "isRequired")?;
        question.secret = member_flag(node, "isSecret")?;
        question.kind = match node.text("format")? {
            Some("number") => AnswerKind::Number { min: None, max: None },
            Some("boolean") => AnswerKind::Flag,
            Some("filepath" | "file_path") => AnswerKind::File,
            _ => AnswerKind::Text,
        };
        if let Some(default) = node.get("default") {
            let default = default
                .value
                .to_plain_text()
                .ok_or_else(|| Fault::new(default.at, "`default` must be a text"))?;
            check_literal(&default, node.at)?;
            // An empty default is none.
            question.default = Some(default).filter(|default| !default.is_empty()).into_iter().collect();
        }
        question.choices = node.texts("choices")?.unwrap_or_default();
        for choice in &question.choices {
            check_literal(choice, node.at)?;
        }
        self.add(question, node.at)
    }

    /// Adds a question under its own key or, if another question has it, under one with a number.
    pub(crate) fn add(&mut self, mut question: Question, at: usize) -> Result<String, Fault> {
        let base = question.key.clone();
        let mut number = 2;
        while let Some(other) = self.list.iter().find(|other| other.key == question.key) {
            if *other == question {
                return Ok(question.key);
            }
            question.key = format!("{base}-{number}");
            number += 1;
        }
        if self.list.len() >= MAX_QUESTIONS {
            return Err(Fault::new(at, format!("the server asks more than {MAX_QUESTIONS} questions")));
        }
        let key = question.key.clone();
        self.list.push(question);
        Ok(key)
    }

    /// Changes the questions of an input.
    pub(crate) fn change(&mut self, keys: &[String], change: impl Fn(&mut Question)) {
        self.list.iter_mut().filter(|question| keys.contains(&question.key)).for_each(change);
    }
}

/// A registry, or a bundle, must not be able to send what is in the daemon's environment, or a secret that exai keeps.
pub(crate) fn check_literal(text: &str, at: usize) -> Result<(), Fault> {
    // A `$` at the end could meet a `{` that follows.
    if text.contains("${") || text.ends_with('$') {
        return Err(refuse_reference(at));
    }
    if text.contains('\0') || text.len() > MAX_VALUE_BYTES {
        return Err(Fault::new(at, "a value is too long, or contains a NUL character"));
    }
    Ok(())
}

fn refuse_reference(at: usize) -> Fault {
    Fault::new(at, "a value refers to a variable with `$`, and is refused")
}

/// A key that can stand in a gap.
fn clean_key(name: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let clean: String =
        name.trim_start_matches('-').chars().take(100).map(|c| if allowed(c) { c } else { '_' }).collect();
    if clean.is_empty() { "value".to_owned() } else { clean }
}
