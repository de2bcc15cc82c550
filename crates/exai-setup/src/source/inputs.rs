//! The `inputs` of VS Code: what `${input:ID}` asks for.
//!
//! <https://code.visualstudio.com/docs/reference/variables-reference#_input-variables>

use super::question::Question;
use crate::fault::Fault;
use crate::node::Node;

/// How many inputs one text may declare.
const MAX_INPUTS: usize = 1000;

/// The questions for these inputs: those that are declared, and a plain one for each that is used and not declared.
pub(crate) fn read_inputs(declared: Option<Node<'_>>, used: &[String]) -> Result<Vec<Question>, Fault> {
    let mut questions: Vec<Question> = Vec::new();
    let declared = match declared {
        Some(node) => node.elements().ok_or_else(|| Fault::new(node.at, "`inputs` must be a list"))?,
        None => Vec::new(),
    };
    if declared.len() > MAX_INPUTS {
        return Err(Fault::new(
            declared.first().map_or(0, |input| input.at),
            format!("`inputs` has more than {MAX_INPUTS} elements"),
        ));
    }
    for id in used {
        let found =
            declared.iter().find(|input| input.get("id").and_then(Node::as_text) == Some(id.as_str()));
        questions.push(match found {
            Some(input) => read_input(id, *input)?,
            None => Question::new(id),
        });
    }
    Ok(questions)
}

fn read_input(id: &str, input: Node<'_>) -> Result<Question, Fault> {
    let mut question = Question::new(id);
    question.description = input.text("description")?.map(str::to_owned);
    question.secret = input.flag("password")?.unwrap_or(false);
    question.default = input.get("default").and_then(|node| node.value.to_plain_text()).into_iter().collect();
    for option in input.get("options").and_then(Node::elements).unwrap_or_default() {
        // A text, or a label with a value.
        let value = option
            .value
            .to_plain_text()
            .or_else(|| option.get("value").and_then(|node| node.value.to_plain_text()));
        question.choices.extend(value);
    }
    Ok(question)
}
