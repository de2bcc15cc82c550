//! One entry into a TOML text and out of it, every other character kept.
//!
//! A new entry becomes a section at the end of the file, behind every comment: a comment at the end belongs to what stands
//! before it. An entry of an inline table becomes a member of that table.

use toml_edit::Item;

use super::edit::{Edited, Made, Spot};
use super::error::EditError;
use super::splice::{Splice, splice};
use super::toml::{parse_document, write_key, write_value};
use super::toml_regions::{Region, find_region, member_ranges, section_range};
use crate::Value;
use crate::fault::position;
use crate::text_file::line_end;

/// Puts `value` at `spot`.
pub(super) fn set(text: &str, spot: Spot<'_>, value: &Value) -> Result<Edited, EditError> {
    let document = parse_document(text)?;
    let mut parent = Some(document.as_item());
    let mut existing = 0;
    for key in spot.path {
        let Some(item) = parent.and_then(|parent| parent.get(key)) else {
            parent = None;
            break;
        };
        if !item.is_table_like() {
            let (line, column) = position(text, item.span().map_or(0, |span| span.start));
            return Err(EditError::NotAContainer { key: (*key).to_owned(), expected: "map", line, column });
        }
        existing += 1;
        parent = Some(item);
    }
    let present = parent.filter(|parent| parent.get(spot.name).is_some());
    if let Some(parent) = present {
        return replace(text, parent, spot, value);
    }
    let containers = spot.path.len() - existing;
    if let Some(Item::Value(toml_edit::Value::InlineTable(table))) = parent {
        return insert_inline(text, table, spot.name, value);
    }
    let text = match (value, parent) {
        (Value::Map(pairs), _) => append_section(text, &section(text, spot, pairs)),
        (_, Some(Item::Table(table))) => {
            let Some(section) = section_range(text, table) else {
                return Err(EditError::Unsupported { what: "the file writes this server in dotted keys" });
            };
            insert_line(text, section.end, &format!("{} = {}", write_key(spot.name), write_value(value)))
        }
        _ => return Err(EditError::Unsupported { what: "the file has no section for this key" }),
    };
    Ok(Edited { text, made: Some(Made { containers, inner: None }) })
}

fn replace(text: &str, parent: &Item, spot: Spot<'_>, value: &Value) -> Result<Edited, EditError> {
    if let Some(Item::Value(old)) = parent.get(spot.name) {
        let range =
            old.span().ok_or(EditError::Unsupported { what: "the place of the entry is not known" })?;
        let text = splice(text, vec![Splice { range, text: write_value(value) }]);
        return Ok(Edited { text, made: None });
    }
    let Value::Map(pairs) = value else {
        return Err(EditError::Unsupported { what: "the file has a section where a single value should be" });
    };
    let section = section(text, spot, pairs);
    let region = find_region(text, parent, spot.name);
    let text = match region {
        Some(Region::Sections(mut ranges)) => {
            ranges.sort_by_key(|range| range.start);
            let mut splices: Vec<_> = ranges.into_iter().map(Splice::delete).collect();
            if let Some(first) = splices.first_mut() {
                let ends_its_line = text[first.range.clone()].ends_with('\n');
                first.text = section + if ends_its_line { line_end(text) } else { "" };
            }
            splice(text, splices)
        }
        Some(Region::Lines(ranges)) => {
            append_section(&splice(text, ranges.into_iter().map(Splice::delete).collect()), &section)
        }
        Some(Region::Inline { .. }) | None => {
            return Err(EditError::Unsupported { what: "the place of the entry is not known" });
        }
    };
    Ok(Edited { text, made: None })
}

/// The lines of a section, without the last line end.
fn section(text: &str, spot: Spot<'_>, pairs: &[(String, Value)]) -> String {
    let path: Vec<_> = spot.full_path().into_iter().map(write_key).collect();
    let line = |(key, value): &(String, Value)| {
        format!("{}{} = {}", line_end(text), write_key(key), write_value(value))
    };
    format!("[{}]{}", path.join("."), pairs.iter().map(line).collect::<String>())
}

/// A text with one more section, a blank line before it. It ends its last line if the text did.
fn append_section(text: &str, section: &str) -> String {
    let newline = line_end(text);
    if text.is_empty() {
        format!("{section}{newline}")
    } else if text.ends_with('\n') {
        format!("{text}{newline}{section}{newline}")
    } else {
        format!("{text}{newline}{newline}{section}")
    }
}

fn insert_line(text: &str, at: usize, line: &str) -> String {
    let newline = line_end(text);
    let inserted =
        if text[..at].ends_with('\n') { format!("{line}{newline}") } else { format!("{newline}{line}") };
    splice(text, vec![Splice::insert(at, inserted)])
}

fn insert_inline(
    text: &str,
    table: &toml_edit::InlineTable,
    name: &str,
    value: &Value,
) -> Result<Edited, EditError> {
    let member = format!("{} = {}", write_key(name), write_value(value));
    let unknown = EditError::Unsupported { what: "the place of the entry is not known" };
    if let Some(last) = member_ranges(table).last() {
        let text = splice(text, vec![Splice::insert(last.end, format!(", {member}"))]);
        return Ok(Edited { text, made: Some(Made::default()) });
    }
    let span = table.span().ok_or(unknown)?;
    let range = span.start + 1..span.end.saturating_sub(1).max(span.start + 1);
    let inner = text[range.clone()].to_owned();
    let text = splice(text, vec![Splice { range, text: format!(" {member} ") }]);
    Ok(Edited { text, made: Some(Made { containers: 0, inner: Some(inner) }) })
}

/// Takes the entry at `spot` out. Says how many of the containers around it went with it.
pub(super) fn remove(text: &str, spot: Spot<'_>, made: Option<&Made>) -> Result<(String, usize), EditError> {
    let not_found = || EditError::NotFound { name: spot.name.to_owned() };
    let document = parse_document(text)?;
    let parent = spot.path.iter().try_fold(document.as_item(), |item, key| item.get(key));
    let parent = parent.ok_or_else(not_found)?;
    let result = match find_region(text, parent, spot.name).ok_or_else(not_found)? {
        Region::Sections(ranges) => delete_lines(text, ranges, true),
        Region::Lines(ranges) => delete_lines(text, ranges, false),
        Region::Inline { table, members, index } => {
            let inner = made.and_then(|made| made.inner.as_deref());
            splice(text, vec![delete_member(text, table, &members, index, inner)])
        }
    };
    // A container without a header of its own is gone when its last entry is.
    let left = parse_document(&result)?;
    let is_left = |depth: usize| {
        let path = &spot.path[..depth];
        path.iter().try_fold(left.as_item(), |item, key| item.get(key)).is_some()
    };
    let removed = (1..=spot.path.len()).filter(|depth| !is_left(*depth)).count();
    Ok((result, removed))
}

/// Deletes whole lines, and one blank line before each section.
fn delete_lines(text: &str, ranges: Vec<std::ops::Range<usize>>, are_sections: bool) -> String {
    let mut splices = Vec::new();
    for range in ranges {
        let mut start = range.start;
        let before = &text[..start];
        if are_sections
            && let Some(shorter) = strip_line_end(before)
            && (shorter.is_empty() || shorter.ends_with('\n'))
        {
            start = shorter.len();
        }
        // The text ends in the middle of its last line, and shall do so again.
        if range.end == text.len() && !text.ends_with('\n') {
            start = strip_line_end(&text[..start]).map_or(start, str::len);
        }
        splices.push(Splice::delete(start..range.end));
    }
    splice(text, splices)
}

fn strip_line_end(text: &str) -> Option<&str> {
    let shorter = text.strip_suffix('\n')?;
    Some(shorter.strip_suffix('\r').unwrap_or(shorter))
}

fn delete_member(
    text: &str,
    table: std::ops::Range<usize>,
    members: &[std::ops::Range<usize>],
    index: usize,
    inner: Option<&str>,
) -> Splice {
    let member = members[index].clone();
    let previous = index.checked_sub(1).and_then(|index| members.get(index));
    match (previous, members.get(index + 1)) {
        (Some(previous), _) => Splice::delete(previous.end..member.end),
        (None, Some(next)) => Splice::delete(member.start..next.start),
        (None, None) => {
            let range = table.start + 1..table.end.saturating_sub(1);
            let is_ours = text[range.clone()].trim() == &text[member];
            Splice { range, text: inner.filter(|_| is_ours).unwrap_or_default().to_owned() }
        }
    }
}
