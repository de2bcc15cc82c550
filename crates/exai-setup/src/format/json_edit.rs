//! One entry into a JSON text and out of it, every other character kept.

use jsonc_parser::ast::Value as Node;
use jsonc_parser::common::Ranged as _;

use super::edit::{Edited, Made, Spot};
use super::error::EditError;
use super::json::{Container, Member, parse_tree};
use super::json_layout::{Layout, find_comma, line_indent, own_indent, quote, scan_tail};
use super::splice::{Splice, splice};
use crate::Value;
use crate::fault::position;

/// The containers on the way to an entry that exist, from the outermost inwards.
struct Way<'a, 'n> {
    containers: Vec<Container<'a, 'n>>,
}

impl<'a, 'n> Way<'a, 'n> {
    /// Walks from the outermost value along the path of `spot`, as far as it exists.
    fn walk(text: &str, root: Option<&'n Node<'a>>, spot: Spot<'_>) -> Result<Self, EditError> {
        let mut containers = Vec::new();
        let mut next = root;
        let mut key = "the file";
        for depth in 0..=spot.path.len() {
            let Some(node) = next else { break };
            let is_innermost = depth == spot.path.len();
            let expected = if is_innermost && spot.in_list { "list" } else { "map" };
            let Some(container) = Container::of(node) else {
                return Err(wrong_kind(text, node, key, expected));
            };
            if is_innermost && container.is_list != spot.in_list {
                return Err(wrong_kind(text, node, key, expected));
            }
            next = None;
            if let Some(step) = spot.path.get(depth) {
                next = only_member(text, &container, step)?.map(|index| container.members[index].value);
                // An element of a list is found by its name, and not created.
                if next.is_none() && container.is_list {
                    return Err(wrong_kind(text, node, key, "map"));
                }
                key = step;
            }
            containers.push(container);
        }
        Ok(Way { containers })
    }
}

fn wrong_kind(text: &str, node: &Node<'_>, key: &str, expected: &'static str) -> EditError {
    let (line, column) = position(text, node.start());
    EditError::NotAContainer { key: key.to_owned(), expected, line, column }
}

/// The number of the member with this name, which must not be there twice.
fn only_member(text: &str, container: &Container<'_, '_>, name: &str) -> Result<Option<usize>, EditError> {
    let mut found = container.members.iter().enumerate().filter(|(_, member)| member.name == Some(name));
    let first = found.next().map(|(index, _)| index);
    match found.next() {
        None => Ok(first),
        Some((_, second)) => {
            let (line, column) = position(text, second.start);
            Err(EditError::Twice { key: name.to_owned(), line, column })
        }
    }
}

/// Puts `value` at `spot`.
pub(super) fn set(text: &str, relaxed: bool, spot: Spot<'_>, value: &Value) -> Result<Edited, EditError> {
    let root = parse_tree(text, relaxed)?;
    let way = Way::walk(text, root.as_ref(), spot)?;
    let layout = Layout::of(text, way.containers.first());
    let found = way.containers.len();
    let Some(container) = way.containers.last() else {
        return Ok(write_file(text, &layout, spot, value));
    };
    let missing = (spot.path.len() + 1).saturating_sub(found);
    if missing == 0
        && let Some(index) = only_member(text, container, spot.name)?
    {
        let member = &container.members[index];
        let indent = own_indent(text, member.start);
        let range = member.value.start()..member.value.end();
        let splices = vec![Splice { range, text: layout.render(value, indent) }];
        return Ok(Edited { text: splice(text, splices), made: None });
    }
    let full = spot.full_path();
    let name = full.get(found - 1).copied().filter(|_| !container.is_list);
    let value = wrap(&full[found.min(full.len())..], spot, value);
    let is_compact = is_compact(text, &way);
    let (splices, inner) = insert_member(text, &layout, container, name, &value, is_compact);
    Ok(Edited { text: splice(text, splices), made: Some(Made { containers: missing, inner }) })
}

/// A value within new containers that are reached by `keys`.
fn wrap(keys: &[&str], spot: Spot<'_>, value: &Value) -> Value {
    let mut wrapped = value.clone();
    for (index, key) in keys.iter().enumerate().rev() {
        let is_innermost = index + 1 == keys.len();
        wrapped = if is_innermost && spot.in_list {
            Value::List(vec![wrapped])
        } else {
            Value::map([(*key, wrapped)])
        };
    }
    wrapped
}

/// A file that held no value.
fn write_file(text: &str, layout: &Layout, spot: Spot<'_>, value: &Value) -> Edited {
    let value = wrap(&spot.full_path(), spot, value);
    let kept = text.trim_end();
    let between = if kept.is_empty() { "" } else { layout.newline };
    let ends_its_line = text.is_empty() || text.ends_with('\n');
    let end = if ends_its_line { layout.newline } else { "" };
    let made = Made { containers: spot.path.len() + 1, inner: Some(text.to_owned()) };
    Edited { text: format!("{kept}{between}{}{end}", layout.render(&value, Some(""))), made: Some(made) }
}

/// Whether an empty container at the end of the way is written in one line: when what it stands in is.
fn is_compact(text: &str, way: &Way<'_, '_>) -> bool {
    let outer = way.containers.iter().rev().nth(1);
    outer.is_some_and(|outer| outer.members.iter().all(|member| own_indent(text, member.start).is_none()))
}

/// Adds a member at the end of a container. Says what was in the container if it held nothing but blanks and comments.
fn insert_member(
    text: &str,
    layout: &Layout,
    container: &Container<'_, '_>,
    name: Option<&str>,
    value: &Value,
    is_compact: bool,
) -> (Vec<Splice>, Option<String>) {
    let key = name.map(|name| format!("{}: ", quote(name))).unwrap_or_default();
    let newline = layout.newline;
    if let Some(last) = container.members.last() {
        let indent = own_indent(text, last.start);
        // In a row of its own the member comes behind the comments of the line before it.
        let tail = indent.map_or(last.end, |_| scan_tail(text, last.end, container.close));
        let comma = find_comma(text, last.end, container.close);
        let member = format!("{key}{}", layout.render(value, indent));
        let trailing = if comma.is_some() { "," } else { "" };
        let at = tail.max(comma.map_or(0, |comma| comma + 1));
        let lead = indent.map_or_else(|| " ".to_owned(), |indent| format!("{newline}{indent}"));
        let mut splices = vec![Splice::insert(at, format!("{lead}{member}{trailing}"))];
        if comma.is_none() {
            splices.insert(0, Splice::insert(last.end, ","));
        }
        return (splices, None);
    }
    let inner = &text[container.open + 1..container.close];
    let kept = inner.trim_end();
    let has_lines = inner.contains(['\n', '\r']);
    let range = container.open + 1 + kept.len()..container.close;
    let replaced = if is_compact && !has_lines {
        format!("{key}{}", layout.render(value, None))
    } else {
        let outer = line_indent(text, container.open);
        let indent = format!("{outer}{}", layout.unit);
        let rest = &inner[kept.len()..];
        let end = if rest.contains(['\n', '\r']) { rest.to_owned() } else { format!("{newline}{outer}") };
        format!("{newline}{indent}{key}{}{end}", layout.render(value, Some(&indent)))
    };
    (vec![Splice { range, text: replaced }], Some(inner.to_owned()))
}

/// Takes the entry at `spot` out. Says how many of the containers around it went with it.
pub(super) fn remove(
    text: &str,
    relaxed: bool,
    spot: Spot<'_>,
    made: Option<&Made>,
) -> Result<(String, usize), EditError> {
    let not_found = || EditError::NotFound { name: spot.name.to_owned() };
    let root = parse_tree(text, relaxed)?;
    let way = Way::walk(text, root.as_ref(), spot)?;
    let full = spot.full_path();
    let mut level = spot.path.len();
    let mut index = only_member(text, way.containers.get(level).ok_or_else(not_found)?, spot.name)?;
    let created = made.map_or(0, |made| made.containers);
    let mut removed = 0;
    while removed < created && holds_nothing_else(text, &way.containers[level]) {
        removed += 1;
        if level == 0 {
            let container = &way.containers[0];
            let inner = made.and_then(|made| made.inner.as_deref());
            let kept = surroundings(text, inner, 0..container.open, container.close + 1..text.len());
            return Ok((kept, removed));
        }
        level -= 1;
        index = only_member(text, &way.containers[level], full[level])?;
    }
    let container = &way.containers[level];
    let index = index.ok_or_else(not_found)?;
    let inner = made.filter(|made| removed == made.containers).and_then(|made| made.inner.as_deref());
    let result = splice(text, remove_member(text, container, index, inner, false));
    if parse_tree(&result, relaxed).is_ok() {
        return Ok((result, removed));
    }
    // A line comment before the entry needs the end of its line.
    Ok((splice(text, remove_member(text, container, index, inner, true)), removed))
}

/// Whether a container holds one member, and neither a comment nor anything else beside it.
fn holds_nothing_else(text: &str, container: &Container<'_, '_>) -> bool {
    let [only] = container.members.as_slice() else { return false };
    let around = [&text[container.open + 1..only.start], &text[only.end..container.close]];
    around.iter().all(|part| part.trim_matches(',').trim().is_empty())
}

/// What is left around something that was removed: what was there before it came, unless that has changed since.
fn surroundings(
    text: &str,
    inner: Option<&str>,
    before: std::ops::Range<usize>,
    after: std::ops::Range<usize>,
) -> String {
    let before = &text[before];
    let after = &text[after];
    let after_comma = after.trim_start().strip_prefix(',').unwrap_or(after);
    match inner {
        Some(inner) if inner.trim_end() == before.trim_end() && after_comma.trim().is_empty() => {
            inner.to_owned()
        }
        _ if before.trim().is_empty() && after_comma.trim().is_empty() => String::new(),
        _ => format!("{}{after_comma}", before.trim_end()),
    }
}

/// Takes a member out with the blanks before it; `keeps_line` leaves those.
fn remove_member(
    text: &str,
    container: &Container<'_, '_>,
    index: usize,
    inner: Option<&str>,
    keeps_line: bool,
) -> Vec<Splice> {
    let member: &Member<'_, '_> = &container.members[index];
    if container.members.len() == 1 && !keeps_line {
        let range = container.open + 1..container.close;
        let kept = surroundings(text, inner, range.start..member.start, member.end..range.end);
        return vec![Splice { range, text: kept }];
    }
    let comma = find_comma(text, member.end, container.close);
    let behind = comma.map_or(member.end, |comma| comma + 1);
    if let Some(next) = container.members.get(index + 1)
        && own_indent(text, next.start).is_none()
    {
        return vec![Splice::delete(member.start..next.start)];
    }
    let mut splices = Vec::new();
    if let Some(previous) = index.checked_sub(1).map(|index| &container.members[index])
        && let Some(before) = find_comma(text, previous.end, member.start).filter(|_| comma.is_none())
    {
        // What is left ends without a comma, as it did before.
        splices.push(Splice::delete(before..before + 1));
    }
    let start = if keeps_line { member.start } else { text[..member.start].trim_end().len() };
    match comma {
        // A comment between the member and its comma stays.
        Some(comma) if !text[member.end..comma].trim().is_empty() => {
            splices.push(Splice::delete(start..member.end));
            splices.push(Splice::delete(comma..comma + 1));
        }
        _ => splices.push(Splice::delete(start..behind)),
    }
    splices
}
