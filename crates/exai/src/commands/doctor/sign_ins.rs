//! The sign-ins whose files are sealed: whether the key to them can be had.

use std::time::Duration;

use exai_auth::{NoKey, Records};

use super::outcome::CheckOutcome;
use super::scene::Scene;
use crate::commands::count;

/// How long the keyring may take: less than a check may.
const KEYRING_TIMEOUT: Duration = Duration::from_millis(1500);

pub(super) fn sign_ins(scene: &Scene) -> CheckOutcome {
    let records = Records::of_home_within(&scene.home, KEYRING_TIMEOUT);
    // Without sealed files nobody needs the keyring, which may ask a person.
    let survey = match records.count_sealed() {
        Ok(0) => return CheckOutcome::skip("no sign-in is in a sealed file"),
        Ok(_) => records.survey(),
        Err(error) => Err(error),
    };
    let survey = match survey {
        Ok(survey) => survey,
        Err(error) => {
            return CheckOutcome::fail(format!("the sign-ins cannot be read: {error}"))
                .fix("see whether the folder `sign-ins` of the state directory is readable");
        }
    };
    let Some(why) = survey.unread.first() else {
        let sealed = survey.kept.iter().filter(|kept| kept.is_sealed).count();
        return CheckOutcome::pass(format!("{}, each of which can be opened", count(sealed, "sealed file")));
    };
    let outcome =
        CheckOutcome::warn(format!("{} cannot be read: {why}", count(survey.unread.len(), "sign-in")));
    outcome.fix(match why {
        NoKey::Unavailable(_) => "unlock the keyring; or sign in anew: exai login NAME",
        NoKey::Gone => "sign in anew: exai login NAME",
        NoKey::Unknown => "use the exai that has made them; or sign in anew: exai login NAME",
    })
}
