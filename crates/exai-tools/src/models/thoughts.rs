//! Thoughts within the text: local servers without a parser for them put them before the answer, as `<think>…</think>`.

const BEGIN: &str = "<think>";
const END: &str = "</think>";

/// Separates the thoughts at the beginning of a text from the answer, wherever the text is split.
#[derive(Debug)]
pub(crate) enum Thoughts {
    /// Nothing but white space and a part of `<think>` so far: this text.
    Undecided(String),
    /// Within the thoughts. The text may be the beginning of `</think>`.
    Within(String),
    /// Behind the thoughts. White space at the beginning of the answer is left out.
    Behind,
    /// The answer has begun. Everything is answer.
    Answer,
}

/// A part of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parted {
    /// What belongs to the thoughts.
    pub(crate) thought: String,
    /// What belongs to the answer.
    pub(crate) answer: String,
}

impl Default for Thoughts {
    fn default() -> Self {
        Thoughts::Undecided(String::new())
    }
}

impl Thoughts {
    /// Takes the next piece of the text.
    pub(crate) fn part(&mut self, piece: &str) -> Parted {
        let mut parted = Parted::default();
        let mut rest = piece.to_owned();
        while !rest.is_empty() {
            rest = self.step(rest, &mut parted);
        }
        parted
    }

    /// What was held back at the end of the text.
    pub(crate) fn finish(&mut self) -> Parted {
        match std::mem::replace(self, Thoughts::Answer) {
            Thoughts::Undecided(answer) => Parted { answer, ..Parted::default() },
            Thoughts::Within(thought) => Parted { thought, ..Parted::default() },
            Thoughts::Behind | Thoughts::Answer => Parted::default(),
        }
    }

    /// Takes what the state allows, and returns the rest for the next state.
    fn step(&mut self, text: String, parted: &mut Parted) -> String {
        match self {
            Thoughts::Undecided(held) => {
                let all = std::mem::take(held) + &text;
                let begun = all.trim_start();
                if let Some(rest) = begun.strip_prefix(BEGIN) {
                    let rest = rest.to_owned();
                    *self = Thoughts::Within(String::new());
                    return rest;
                }
                if BEGIN.starts_with(begun) {
                    *held = all;
                    return String::new();
                }
                *self = Thoughts::Answer;
                all
            }
            Thoughts::Within(held) => {
                let all = std::mem::take(held) + &text;
                if let Some((thought, rest)) = all.split_once(END) {
                    parted.thought.push_str(thought);
                    *self = Thoughts::Behind;
                    return rest.to_owned();
                }
                let kept = (1..END.len()).rev().find(|length| all.ends_with(&END[..*length])).unwrap_or(0);
                let (thought, begun) = all.split_at(all.len() - kept);
                parted.thought.push_str(thought);
                begun.clone_into(held);
                String::new()
            }
            Thoughts::Behind => {
                let rest = text.trim_start();
                if !rest.is_empty() {
                    *self = Thoughts::Answer;
                }
                rest.to_owned()
            }
            Thoughts::Answer => {
                parted.answer.push_str(&text);
                String::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(pieces: &[&str]) -> (String, String) {
        let mut thoughts = Thoughts::default();
        let mut all = Parted::default();
        let mut add = |parted: Parted| {
            all.thought.push_str(&parted.thought);
            all.answer.push_str(&parted.answer);
        };
        for piece in pieces {
            add(thoughts.part(piece));
        }
        add(thoughts.finish());
        (all.thought, all.answer)
    }

    #[test]
    fn thoughts_at_the_beginning_are_no_answer() {
        for (text, thought, answer) in [
            ("an answer", "", "an answer"),
            ("<think>so</think>\n\nan answer", "so", "an answer"),
            ("\n<think>\nso\n</think>an answer", "\nso\n", "an answer"),
            ("the tag <think>x</think> is text", "", "the tag <think>x</think> is text"),
            ("<think>a </thin b</think>c</think>", "a </thin b", "c</think>"),
            ("<think>never ends </thi", "never ends </thi", ""),
            ("<thi", "", "<thi"),
            ("  ", "", "  "),
            ("<think></think>", "", ""),
        ] {
            assert_eq!(part(&[text]), (thought.to_owned(), answer.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn an_answer_is_not_held_back() {
        assert_eq!(Thoughts::default().part("<b>").answer, "<b>");
        assert_eq!(Thoughts::default().part("A").answer, "A");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_parts(words in prop::collection::vec("<think>|</think>|</th| |ä|x", 0..9), at in 0..60_usize, to in 0..60_usize) {
            let text = words.concat();
            let edge = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let (first, second) = (edge(at.min(to)), edge(at.max(to)));
            let pieces = [&text[..first], &text[first..second], &text[second..]];
            prop_assert_eq!(part(&pieces), part(&[&text]));
        }
    }
}
