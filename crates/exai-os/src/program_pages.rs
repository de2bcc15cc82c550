//! The pages of its own program that a process has in memory.

use crate::sys;

/// Gives the pages of this program back to the system, which brings each of them again when it is used.
///
/// What only the start of a daemon needs would stay otherwise for as long as it lives: with each place of the code that
/// runs once, Linux brings the 64 KiB around it. Elsewhere this changes nothing. What a debugger has written into the
/// program, its breakpoints, goes with the pages.
pub fn give_back() {
    sys::program_pages::give_back();
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// How much of this program's code is in memory, in KiB.
    fn resident_code() -> u64 {
        let program = std::env::current_exe().unwrap();
        let mappings = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut code = mappings
            .lines()
            .skip_while(|line| !(line.contains(" r-xp ") && line.ends_with(program.to_str().unwrap())));
        let rss = code.find_map(|line| line.strip_prefix("Rss:")).expect("the code is mapped");
        rss.trim_end_matches("kB").trim().parse().unwrap()
    }

    #[test]
    fn what_only_the_start_of_this_test_needed_does_not_stay() {
        let before = resident_code();
        give_back();
        let after = resident_code();
        assert!(after < before, "{after} KiB of {before}");
    }
}
