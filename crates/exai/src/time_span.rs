//! Times for people.

use std::time::Duration;

/// `5 min`, `3 h`, `2 d`.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        assert_eq!(
            [90, 600, 7200, 200_000].map(|s| span(Duration::from_secs(s))),
            ["90 s", "10 min", "2 h", "2 d"]
        );
    }
}
