//! Where an entry is in a TOML text: it can be a few sections, a few lines, or a part of an inline table.

use std::ops::Range;

use toml_edit::{Item, Key, Table, TableLike};

/// Where an entry is.
pub(super) enum Region {
    /// Whole sections, each from the start of the line of its header to the end of the line of its last value.
    Sections(Vec<Range<usize>>),
    /// Whole lines.
    Lines(Vec<Range<usize>>),
    /// A member of an inline table.
    Inline {
        /// The inline table with its braces.
        table: Range<usize>,
        /// Its members, in order.
        members: Vec<Range<usize>>,
        /// Which of them.
        index: usize,
    },
}

/// Finds the entry `name` of `parent`.
pub(super) fn find_region(text: &str, parent: &Item, name: &str) -> Option<Region> {
    if let Some(table) = parent.as_inline_table() {
        let index = table.iter().position(|(key, _)| key == name)?;
        return Some(Region::Inline { table: table.span()?, members: member_ranges(table), index });
    }
    let (key, item) = parent.as_table_like()?.get_key_value(name)?;
    let mut sections = Vec::new();
    let mut lines = Vec::new();
    collect(text, key, item, &mut sections, &mut lines);
    match (sections.is_empty(), lines.is_empty()) {
        (false, true) => Some(Region::Sections(sections)),
        (true, false) => Some(Region::Lines(lines)),
        // Partly dotted keys of the parent and partly sections: all are whole lines.
        (false, false) => Some(Region::Lines(lines.into_iter().chain(sections).collect())),
        (true, true) => None,
    }
}

/// The ranges of the members of an inline table, from key to value.
pub(super) fn member_ranges(table: &toml_edit::InlineTable) -> Vec<Range<usize>> {
    let range = |(name, value): (&str, &toml_edit::Value)| {
        let key = table.get_key_value(name)?.0;
        Some(key.span()?.start..value.span()?.end)
    };
    table.iter().filter_map(range).collect()
}

fn collect(
    text: &str,
    key: &Key,
    item: &Item,
    sections: &mut Vec<Range<usize>>,
    lines: &mut Vec<Range<usize>>,
) {
    match item {
        Item::Value(value) => {
            if let (Some(key), Some(value)) = (key.span(), value.span()) {
                lines.push(line_start(text, key.start)..line_end(text, value.end));
            }
        }
        Item::Table(table) => collect_table(text, table, sections, lines),
        Item::ArrayOfTables(tables) => {
            for table in tables {
                collect_table(text, table, sections, lines);
            }
        }
        Item::None => {}
    }
}

fn collect_table(text: &str, table: &Table, sections: &mut Vec<Range<usize>>, lines: &mut Vec<Range<usize>>) {
    let section = section_range(text, table);
    for (name, item) in table {
        let Some((key, _)) = table.get_key_value(name) else { continue };
        // What belongs to the section itself is in its range.
        if section.is_none() || (!item.is_value() && !is_dotted(item)) {
            collect(text, key, item, sections, lines);
        }
    }
    sections.extend(section);
}

/// The lines of a section with a header of its own, without the sections below it.
pub(super) fn section_range(text: &str, table: &Table) -> Option<Range<usize>> {
    if table.is_implicit() || table.is_dotted() {
        return None;
    }
    let header = table.span()?;
    let end = last_value_end(table).unwrap_or(header.end).max(header.end);
    Some(line_start(text, header.start)..line_end(text, end))
}

/// The end of the last value that a section holds itself.
fn last_value_end(table: &dyn TableLike) -> Option<usize> {
    let end = |(_, item): (&str, &Item)| match item {
        Item::Value(value) => value.span().map(|span| span.end),
        Item::Table(table) if table.is_dotted() => last_value_end(table),
        _ => None,
    };
    table.iter().filter_map(end).max()
}

fn is_dotted(item: &Item) -> bool {
    item.as_table().is_some_and(Table::is_dotted)
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// Behind the end of the line of `at`.
fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| at + newline + 1)
}
