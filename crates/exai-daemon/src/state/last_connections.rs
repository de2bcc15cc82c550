//! Keeps `clients.json`: when each client with a label was connected last. [`exai_proto::last_connections`] has its content.

use exai_config::Home;
use exai_os::private;
use exai_proto::last_connections::{
    LastConnection, LastConnections, MAX_LAST_CONNECTIONS_BYTES, RECORD_INTERVAL, TRIAL_CLIENT_NAME,
};
use jiff::Timestamp;

use crate::limits::MAX_REMEMBERED_CLIENTS;

/// What the file says. A file that cannot be read counts as missing.
pub(crate) fn load(home: &Home) -> LastConnections {
    let read = private::read(&home.last_connections(), MAX_LAST_CONNECTIONS_BYTES);
    read.map(|bytes| LastConnections::decode(&bytes)).unwrap_or_default()
}

/// Records that a client is connected now. Returns whether the file must be written: a client that was recorded a moment
/// ago is not recorded again.
pub(crate) fn record(
    known: &mut LastConnections,
    label: &str,
    (name, version): (Option<String>, Option<String>),
    now: Timestamp,
) -> bool {
    if name.as_deref() == Some(TRIAL_CLIENT_NAME) {
        return false;
    }
    let is_recent = |at: &str| {
        // A time to come is none of this clock.
        at.parse::<Timestamp>()
            .is_ok_and(|at| at <= now && now.duration_since(at).unsigned_abs() < RECORD_INTERVAL)
    };
    if let Some(last) = known.clients.get(label)
        && (&last.name, &last.version) == (&name, &version)
        && is_recent(&last.at)
    {
        return false;
    }
    known.clients.insert(label.to_owned(), LastConnection { at: now.to_string(), name, version });
    // A file that somebody has edited may hold more than one too many.
    while known.clients.len() > MAX_REMEMBERED_CLIENTS {
        let others = known.clients.iter().filter(|(other, _)| *other != label);
        let oldest = others.min_by_key(|(_, last)| last.at.parse::<Timestamp>().unwrap_or(Timestamp::MIN));
        let Some(oldest) = oldest.map(|(label, _)| label.clone()) else { break };
        known.clients.remove(&oldest);
    }
    true
}

/// The text of the file.
pub(crate) fn encode_file(known: &LastConnections) -> std::io::Result<Vec<u8>> {
    Ok(serde_json::to_vec_pretty(known)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn named(name: &str) -> (Option<String>, Option<String>) {
        (Some(name.to_owned()), Some("1".to_owned()))
    }

    #[test]
    fn a_client_is_recorded_once_a_minute_and_the_oldest_of_too_many_goes() {
        let mut known = LastConnections::default();
        assert!(record(&mut known, "cursor", named("c"), at(0)));
        assert!(!record(&mut known, "cursor", named("c"), at(59)), "a moment ago");
        assert!(record(&mut known, "cursor", named("d"), at(59)), "another program");
        assert!(record(&mut known, "cursor", named("d"), at(-9)), "the clock was set back");
        assert!(record(&mut known, "cursor", named("d"), at(60)));
        assert!(
            !record(&mut known, "cursor", named(TRIAL_CLIENT_NAME), at(999)),
            "no connection of the client"
        );
        assert_eq!(known.clients["cursor"].at, at(60).to_string());
        for number in 0..MAX_REMEMBERED_CLIENTS {
            let later = at(1000 + i64::try_from(number).expect("a number"));
            assert!(record(&mut known, &format!("hostile {number}"), (None, None), later));
        }
        assert_eq!(known.clients.len(), MAX_REMEMBERED_CLIENTS);
        assert!(!known.clients.contains_key("cursor") && known.clients.contains_key("hostile 0"));
    }

    #[test]
    fn the_next_daemon_reads_it_and_anything_else_is_no_information() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a home");
        let mut known = load(&home);
        record(&mut known, "cursor", named("c"), at(0));
        private::replace(&home.last_connections(), &encode_file(&known).expect("a text"))
            .expect("it is written");
        assert_eq!(load(&home), known);
        for bad in ["", "[]", r#"{"schema":2,"clients":{}}"#, r#"{"schema":1,"clients":{"a":{"at":1}}}"#] {
            private::replace(&home.last_connections(), bad.as_bytes()).expect("it is written");
            assert_eq!(load(&home), LastConnections::default(), "{bad}");
        }
    }
}
