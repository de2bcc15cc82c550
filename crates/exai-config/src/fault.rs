//! What is wrong in a text, and where.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;

use crate::limits::MAX_WORD_CHARS;

/// What is wrong, and the bytes of the file that it concerns.
pub(crate) struct Fault {
    pub(crate) at: Range<usize>,
    pub(crate) sentence: String,
}

impl Fault {
    pub(crate) fn new(at: Range<usize>, sentence: impl Into<String>) -> Fault {
        Fault { at, sentence: sentence.into() }
    }
}

/// Checks a text that becomes a part of a request, such as the id of a model.
pub(crate) fn check_word(key: &str, word: &Spanned<String>) -> Result<(), Fault> {
    let text = word.get_ref();
    let wrong = if text.trim().is_empty() {
        "holds an empty text"
    } else if text.contains(char::is_control) {
        "holds a control character"
    } else if text.chars().count() > MAX_WORD_CHARS {
        return Err(Fault::new(
            word.span(),
            format!("a text in `{key}` is longer than {MAX_WORD_CHARS} characters"),
        ));
    } else {
        return Ok(());
    };
    Err(Fault::new(word.span(), format!("`{key}` {wrong}")))
}

/// Checks each text of a list, and gives them without their places.
pub(crate) fn check_words(key: &str, words: Vec<Spanned<String>>) -> Result<Vec<String>, Fault> {
    words.iter().try_for_each(|word| check_word(key, word))?;
    Ok(words.into_iter().map(Spanned::into_inner).collect())
}

/// The number if it is within the range, and nothing without one.
pub(crate) fn check_number(
    key: &str,
    number: Option<Spanned<i64>>,
    range: RangeInclusive<i64>,
) -> Result<Option<i64>, Fault> {
    let Some(number) = number else { return Ok(None) };
    if range.contains(number.get_ref()) {
        return Ok(Some(number.into_inner()));
    }
    let sentence = format!("`{key}` is a number from {} to {}", range.start(), range.end());
    Err(Fault::new(number.span(), sentence))
}
