//! Code that only one crate may contain: unsafe code, platform conditionals, output.

use super::code;
use super::source::Source;

/// Words that make a condition depend on the platform.
const PLATFORM: [&str; 7] =
    ["unix", "windows", "target_os", "target_family", "target_env", "target_vendor", "target_arch"];
const PRINTING: [&str; 5] = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];

/// The problems in the Rust sources of the product.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let product = sources.iter().filter(|source| source.is_rust()).filter_map(|source| {
        let (name, file) = source.path.strip_prefix("crates/")?.split_once('/')?;
        // Tests and benches may examine the platform on which they run, and may print.
        let is_product = name != "exai-test" && (file.starts_with("src/") || file == "build.rs");
        is_product.then_some((name, source))
    });
    product.flat_map(|(name, source)| check_file(name, source)).collect()
}

fn check_file(name: &str, source: &Source) -> Vec<String> {
    let code = code::only(&source.text);
    let mut problems = Vec::new();
    let mut problem = |line: usize, what: &str| problems.push(format!("{}:{line}: {what}", source.path));
    for (index, line) in code.lines().enumerate() {
        let number = index + 1;
        if name != "exai-os" {
            if code::has_word(line, "unsafe") || line.contains("(unsafe_code") {
                problem(number, "unsafe code belongs to exai-os");
            }
            if is_platform_condition(line) {
                problem(number, "what differs between platforms belongs to exai-os");
            }
        }
        if name != "exai" {
            if PRINTING.iter().any(|word| code::has_word(line, word)) {
                problem(number, "only the binary prints");
            }
            if line.contains("process::exit(") {
                problem(number, "only the binary chooses an exit code");
            }
        }
    }
    problems
}

fn is_platform_condition(line: &str) -> bool {
    let is_condition = ["cfg(", "cfg!(", "cfg_attr("].iter().any(|start| line.contains(start));
    is_condition && PLATFORM.iter().any(|word| code::has_word(line, word))
        || line.contains("std::os::unix")
        || line.contains("std::os::windows")
        || line.contains("std::os::linux")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        check(&[Source { path: path.to_owned(), text: text.to_owned() }]).len()
    }

    #[test]
    fn walls_are_seen() {
        let text = "#[cfg(unix)]\nfn f() { unsafe { g() } }\nuse std::os::unix::fs;\n";
        assert_eq!(problems("crates/exai-mux/src/lib.rs", text), 3);
        assert_eq!(problems("crates/exai-os/src/lib.rs", text), 0);
        assert_eq!(problems("crates/exai-mux/tests/it.rs", text), 0);
    }

    #[test]
    fn text_is_no_code() {
        let text = "// cfg(unix) println!\nlet a = \"unsafe println!()\";\n#[cfg(test)]\n";
        assert_eq!(problems("crates/exai-mux/src/lib.rs", text), 0);
    }

    #[test]
    fn only_the_binary_prints() {
        assert_eq!(problems("crates/exai-daemon/src/lib.rs", "println!(\"a\");"), 1);
        assert_eq!(problems("crates/exai/src/main.rs", "println!(\"a\"); std::process::exit(1);"), 0);
    }
}
