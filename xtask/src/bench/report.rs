//! The results, for people and for programs.

use std::fmt::Write as _;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::figures::{FIGURES, Figure, Line, Results, Target};
use super::statistics::Summary;

/// The table, with an introductory sentence.
pub(crate) fn table(results: &Results) -> String {
    let heads = ["figure", "direct", "exai", "ratio", "target", ""].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(heads)
        .chain(FIGURES.iter().map(|figure| row(figure, &results.line(figure))))
        .collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = format!(
        "{} with {} cores, kernel {}: ratios within one interleaved run; compare nothing across runs.\n\n",
        std::env::consts::OS,
        cores(),
        kernel()
    );
    for [name, direct, exai, ratio, target, met] in &rows {
        let [first, second, third, fourth, fifth, _] = widths;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<first$}  {direct:>second$}  {exai:>third$}  {ratio:>fourth$}  {target:<fifth$}  {met}"
        );
    }
    text
}

fn row(figure: &Figure, line: &Line) -> [String; 6] {
    let cell = |summary: Option<Summary>| {
        summary.map_or_else(|| "-".to_owned(), |summary| with_unit(summary.value, figure.unit))
    };
    let exai = line.exai.map_or_else(|| "not measured".to_owned(), |_| cell(line.exai));
    let digits = |ratio: f64| if ratio < 0.1 { 4 } else { 2 };
    let ratio = |ratio: f64| format!("{ratio:.0$} x", digits(ratio));
    let ratio = line.ratio.map_or_else(|| "-".to_owned(), ratio);
    let target = match figure.target {
        Target::None => String::new(),
        Target::AtMost(limit) => format!("≤ {}", with_unit(limit, figure.unit)),
        Target::AtLeast(limit) => format!("≥ {}", with_unit(limit, figure.unit)),
        Target::RatioAtMost(limit) => format!("≤ {limit} x direct"),
        Target::AddsAtMost(limit) => format!("≤ direct + {}", with_unit(limit, figure.unit)),
    };
    let met = line.met.map_or("", |met| if met { "ok" } else { "miss" });
    let name = figure.name.to_owned();
    [name, cell(line.direct), exai, ratio, target, met.to_owned()]
}

fn with_unit(value: f64, unit: &str) -> String {
    if unit.is_empty() {
        return format!("{value:.0}");
    }
    let space = if unit.starts_with('/') { "" } else { " " };
    format!("{}{space}{unit}", number(value))
}

/// Writes a number with three significant digits, or with separators between thousands.
fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => {
            let mut text = format!("{value:.0}");
            let mut place = text.len();
            while place > 3 {
                place -= 3;
                text.insert(place, ',');
            }
            text
        }
    }
}

/// The JSON document. The documentation of the module `bench` describes its schema.
pub(crate) fn document(results: &Results, quick: bool, rounds: usize) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let figures: Vec<Value> = FIGURES.iter().map(|figure| entry(figure, &results.line(figure))).collect();
    json!({
        "schema": 1,
        "measured_at": now.as_secs(),
        "machine": { "os": std::env::consts::OS, "cores": cores(), "kernel": kernel() },
        "quick": quick,
        "rounds": rounds,
        "figures": figures,
    })
}

fn entry(figure: &Figure, line: &Line) -> Value {
    let side = |summary: Option<Summary>| {
        summary.map(|Summary { value, least, most, samples }| {
            json!({ "value": value, "least": least, "most": most, "samples": samples })
        })
    };
    let target = |of: &str, at: &str, limit: f64| json!({ "of": of, "at": at, "limit": limit });
    json!({
        "name": figure.name,
        "unit": figure.unit,
        "direct": side(line.direct),
        "exai": side(line.exai),
        "ratio": line.ratio,
        "target": match figure.target {
            Target::None => Value::Null,
            Target::AtMost(limit) => target("exai", "most", limit),
            Target::AtLeast(limit) => target("exai", "least", limit),
            Target::RatioAtMost(limit) => target("ratio", "most", limit),
            Target::AddsAtMost(limit) => target("difference", "most", limit),
        },
        "met": line.met,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease");
    release.map_or_else(|_| "unknown".to_owned(), |release| release.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Series, Side};
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.7654, "0.77"),
            (12.345, "12.3"),
            (123.4, "123"),
            (80_000.0, "80,000"),
            (1_234_567.0, "1,234,567"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn what_was_not_measured_says_so() {
        let mut results = Results::default();
        results.add(Series::Start, Side::Direct, vec![1.0]);
        results.add(Series::Start, Side::Exai, vec![3.0]);
        let table = table(&results);
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let words = |name: &str| line(name).split_whitespace().skip(3).collect::<Vec<_>>().join(" ");
        assert_eq!(words("start, daemon up"), "1.00 ms 3.00 ms 3.00 x ≤ 4.00 ms ok");
        assert!(line("PSS of the idle daemon").contains("not measured"));
        let document = document(&results, true, 1);
        assert_eq!(document["figures"][8]["ratio"], 3.0);
        assert_eq!(document["figures"][12]["exai"], Value::Null);
    }
}
