use std::time::Duration;

use jiff::SpanRelativeTo;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::Spanned;

use crate::fault::Fault;

/// A length of time as people write it: `15m`, `1h 30m`, `90 seconds`, `30d`. A day has 24 hours.
#[derive(Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let wrong =
            || de::Error::custom("a length of time is written like \"15m\", \"90s\", \"1h 30m\" or \"30d\"");
        let text = String::deserialize(deserializer).map_err(|_| wrong())?;
        let span: jiff::Span = text.parse().map_err(|_| wrong())?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        duration.try_into().map(Span).map_err(|_| wrong())
    }
}

/// The length of time if it is longer than nothing and at most `longest`, which `most` names; `usual` without one.
pub(crate) fn check_span(
    key: &str,
    span: Option<&Spanned<Span>>,
    usual: Duration,
    (longest, most): (Duration, &str),
) -> Result<Duration, Fault> {
    let Some(span) = span else { return Ok(usual) };
    match span.get_ref().0 {
        Duration::ZERO => Err(Fault::new(span.span(), format!("`{key}` must be longer than nothing"))),
        length if length > longest => Err(Fault::new(span.span(), format!("`{key}` is {most} at most"))),
        length => Ok(length),
    }
}
