//! In which lines of a YAML file its entries are, for the user who takes one out by hand.

use std::ops::RangeInclusive;

use saphyr_parser::{Event, Parser, Span};

/// A list or a map that has begun.
struct Open {
    is_list: bool,
    /// How many keys of the pointer lead here; `None` if this is somewhere else.
    depth: Option<usize>,
    /// The key whose value comes next. `None` where a key comes next, and in a list.
    key: Option<String>,
}

/// The names of the entries of the list or map at `pointer` in the first document, each with its lines, from 1. There are
/// none where the text cannot be read.
pub(crate) fn find_entries(text: &str, pointer: &[&str]) -> Vec<(String, RangeInclusive<usize>)> {
    let mut search = Search { pointer, lines: text.lines().collect(), open: Vec::new(), found: Vec::new() };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((Event::DocumentEnd, _)) => break,
            Ok((event, span)) => search.take(&event, &span),
            Err(_) => return Vec::new(),
        }
    }
    search.found.into_iter().map(|(name, first, last)| (name, first..=last)).collect()
}

struct Search<'p> {
    pointer: &'p [&'p str],
    lines: Vec<&'p str>,
    open: Vec<Open>,
    /// Name, first and last line of each entry.
    found: Vec<(String, usize, usize)>,
}

impl Search<'_> {
    fn take(&mut self, event: &Event<'_>, span: &Span) {
        match event {
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.end_value();
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let is_list = matches!(event, Event::SequenceStart(..));
                let depth = self.begin_value(span);
                self.open.push(Open { is_list, depth, key: None });
            }
            Event::Scalar(text, ..) => self.take_scalar(text, span),
            Event::Alias(_) => {
                self.begin_value(span);
                self.end_value();
            }
            _ => return,
        }
        self.stretch(span);
    }

    fn take_scalar(&mut self, text: &str, span: &Span) {
        let is_name = self.names_an_element();
        let in_container = self.is_container(self.open.len());
        match self.open.last_mut() {
            Some(open) if !open.is_list && open.key.is_none() => {
                open.key = Some(text.to_owned());
                if in_container {
                    self.found.push((text.to_owned(), span.start.line(), span.start.line()));
                }
            }
            _ => {
                if let Some((name, ..)) = self.found.last_mut().filter(|_| is_name) {
                    text.clone_into(name);
                }
                self.begin_value(span);
                self.end_value();
            }
        }
    }

    /// Whether the list or map that is the last of the first `number` open ones holds the entries.
    fn is_container(&self, number: usize) -> bool {
        let open = number.checked_sub(1).and_then(|last| self.open.get(last));
        open.is_some_and(|open| open.depth == Some(self.pointer.len()))
    }

    /// Whether the next value is the `name` of an element of the list of entries.
    fn names_an_element(&self) -> bool {
        let above = self.open.len().saturating_sub(1);
        self.is_container(above)
            && self.open[above - 1].is_list
            && self.open[above].key.as_deref() == Some("name")
    }

    /// Returns how many keys of the pointer lead to the value that begins.
    fn begin_value(&mut self, span: &Span) -> Option<usize> {
        let in_container = self.is_container(self.open.len());
        let Some(open) = self.open.last() else { return Some(0) };
        if open.is_list && in_container {
            self.found.push((String::new(), span.start.line(), span.start.line()));
        }
        let key = open.key.as_deref()?;
        let depth = open.depth?;
        (self.pointer.get(depth) == Some(&key)).then_some(depth + 1)
    }

    fn end_value(&mut self) {
        if let Some(open) = self.open.last_mut() {
            // A key that is a list or a map names nothing.
            let was_value = open.key.take().is_some();
            if !open.is_list && !was_value {
                open.key = Some(String::new());
            }
        }
    }

    /// Lets the last entry reach to the end of what has just been read, if that is in it.
    fn stretch(&mut self, span: &Span) {
        let in_entry = (0..=self.open.len()).any(|number| self.is_container(number));
        // The end of a list or a map in lines of its own is where the next thing begins.
        let is_empty = span.start.index() == span.end.index();
        if let Some((_, _, last)) = self.found.last_mut().filter(|_| in_entry && !is_empty) {
            // A text in lines of its own takes the blanks before the next thing with it.
            let line = span.end.line().checked_sub(1).and_then(|at| self.lines.get(at));
            let is_blank = line.is_none_or(|line| {
                let mut read = line.chars().take(span.end.col());
                read.all(char::is_whitespace)
            });
            let end = span.end.line() - usize::from(is_blank && span.end.line() > span.start.line());
            *last = end.max(*last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, pointer: &[&str]) -> Vec<(String, usize, usize)> {
        find_entries(text, pointer)
            .into_iter()
            .map(|(name, lines)| (name, *lines.start(), *lines.end()))
            .collect()
    }

    fn expected(entries: &[(&str, usize, usize)]) -> Vec<(String, usize, usize)> {
        entries.iter().map(|(name, first, last)| ((*name).to_owned(), *first, *last)).collect()
    }

    #[test]
    fn the_elements_of_a_list_are_found() {
        let text = "# mine\nmodels: [{name: no}]\nmcpServers:\n  - name: a\n    command: x\n    args: [\n      b]\n\n  # c\n  - \
                    command: y\n    env: {name: no}\n    name: \"d\"\nrules:\n  - name: no\n";
        assert_eq!(lines(text, &["mcpServers"]), expected(&[("a", 4, 7), ("d", 10, 12)]));
        assert_eq!(lines("mcpServers: [{name: a, args: []}]", &["mcpServers"]), expected(&[("a", 1, 1)]));
    }

    #[test]
    fn the_values_of_a_map_are_found() {
        let text = "other:\n  extensions:\n    no: {}\nextensions:\n  a: &x\n    cmd: |\n      b\n      c\n  \"d\": *x\n  ? [e]\n  : f\n  \
                    g: {cmd: h}\n";
        let found = lines(text, &["extensions"]);
        assert_eq!(found, expected(&[("a", 5, 8), ("d", 9, 11), ("g", 12, 12)]));
        assert_eq!(lines("e:\n  a: |\n    b\nc: 1", &["e"]), expected(&[("a", 2, 3)]));
        assert_eq!(lines("e:\n  a: |\n    b", &["e"]), expected(&[("a", 2, 3)]));
        assert_eq!(lines("extensions: 1\n", &["extensions"]), []);
        assert_eq!(lines("extensions: [\n", &["extensions"]), []);
    }
}
