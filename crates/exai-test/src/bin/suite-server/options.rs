//! The command line.

use std::time::Duration;

/// The text that follows the complaint about a wrong argument.
pub(crate) const USAGE: &str = "\
usage: suite-server [SWITCH…]

  --era ERA          legacy (2025-11-25), modern (2026-07-28) or dual: each message by its own era (default dual)
  --pin              a dual server serves the era of its first request alone, as servers of the official SDKs do
  --differ           a dual server has one more tool in each era, and each has another name
  --on-discover HOW  what becomes of server/discover: silent (no answer), exit (the process ends), garbage (a line of
                     text, no answer), late:MS (the answer comes after so many milliseconds)
  --received FILE    append each line that comes to FILE, behind the number of the process

Every process ends by itself after 15 minutes.";

/// Which of the two protocols somebody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
    /// Both. No single message is of this era.
    Dual,
}

/// How `server/discover` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDiscover {
    Answer,
    Silent,
    Exit,
    Garbage,
    Late(Duration),
}

/// The switches, as the command line gives them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) era: Era,
    pub(crate) pin: bool,
    pub(crate) differ: bool,
    pub(crate) on_discover: OnDiscover,
    pub(crate) received: Option<String>,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            era: Era::Dual,
            pin: false,
            differ: false,
            on_discover: OnDiscover::Answer,
            received: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(switch) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{switch} needs a value"));
            match switch.as_str() {
                "--era" => options.era = era(&value()?)?,
                "--pin" => options.pin = true,
                "--differ" => options.differ = true,
                "--on-discover" => options.on_discover = on_discover(&value()?)?,
                "--received" => options.received = Some(value()?),
                _ => return Err(format!("{switch} is not known")),
            }
        }
        Ok(options)
    }
}

fn era(text: &str) -> Result<Era, String> {
    match text {
        "legacy" => Ok(Era::Legacy),
        "modern" => Ok(Era::Modern),
        "dual" => Ok(Era::Dual),
        _ => Err(format!("{text} is no era")),
    }
}

fn on_discover(text: &str) -> Result<OnDiscover, String> {
    match text {
        "silent" => Ok(OnDiscover::Silent),
        "exit" => Ok(OnDiscover::Exit),
        "garbage" => Ok(OnDiscover::Garbage),
        _ => text
            .strip_prefix("late:")
            .and_then(|number| number.parse().ok())
            .map(|number| OnDiscover::Late(Duration::from_millis(number)))
            .ok_or_else(|| format!("{text} is no way to treat server/discover")),
    }
}
