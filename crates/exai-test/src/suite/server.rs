//! The suite as the client of a server.

use std::path::Path;

use super::checks::{complaints, folder_of, read_checks, suite};
use super::verdict::{Requirements, Verdict};

/// Has the suite judge the server at `url`. It writes its checks into `dir`, which must be empty.
///
/// # Panics
/// When the suite is not installed.
pub fn judge(url: &str, requirements: Requirements, dir: &Path) -> Verdict {
    let mut command = suite("server", dir);
    command.args(["--url", url, "--requirements", requirements.revision()]);
    let output = command.output().expect("the suite starts");
    let mut verdict = Verdict::new(requirements, requirements.count());
    verdict.ended_well = output.status.success();
    verdict.output = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // Below the summary follows a list of the scenarios that are not required, which are in the summary, too.
    let (_, summary) = verdict.output.split_once("=== SUMMARY ===").unwrap_or_default();
    let (summary, rest) = summary.split_once("Not scored").unwrap_or((summary, ""));
    for line in summary.lines() {
        let Some((mark, scenario)) = line.split_once(' ') else { continue };
        let scenario = scenario.split(':').next().unwrap_or_default();
        match mark {
            _ if rest.contains(&format!(" {scenario} (")) => {}
            "✓" => verdict.passed += 1,
            "✗" => {
                let folder = folder_of(dir, &format!("server-{scenario}"));
                let checks = folder.map_or(Vec::new(), |folder| read_checks(&folder));
                verdict.failed.push(format!("{scenario}: {}", complaints(&checks)));
            }
            _ => {}
        }
    }
    verdict
}
