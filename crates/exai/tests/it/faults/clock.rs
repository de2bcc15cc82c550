//! Fault 11: The wall clock is set while a daemon lives, back and forth.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use exai_test::eventually;
use serde_json::json;

use super::{SECOND, Stranger, daemon, end, identify, number, record, signal, tree};
use crate::support::{Client, Instance, LIMIT};

/// A preloaded library whose wall clock is wrong by the number of seconds in the file `$WRONG_BY`, which it reads each
/// time.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, now);
    const char *path = getenv("WRONG_BY");
    if (which == CLOCK_REALTIME && path) {
        char text[32] = {0};
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            if (read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
            close(file);
        }
    }
    return result;
}
"#;

/// Builds the library; `false` where there is no compiler.
fn build(dir: &Path) -> bool {
    std::fs::write(dir.join("clock.c"), CLOCK).expect("a source file");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"]).current_dir(dir);
    let built = cc.status().is_ok_and(|status| status.success());
    if !built {
        eprintln!("skipped: no C compiler");
    }
    built
}

#[test]
fn a_clock_that_is_set_changes_nobodys_identity() {
    let instance = Instance::with_fixture(&["--children", "1", "--ignore-stdin-eof"]);
    if !build(instance.dir()) {
        return;
    }
    let wrong_by = instance.dir().join("wrong-by");
    let set = |seconds: i64| std::fs::write(&wrong_by, seconds.to_string()).expect("a file");
    let command = |args: &[&str]| {
        let mut command = instance.command(args);
        command.env("LD_PRELOAD", instance.dir().join("clock.so")).env("WRONG_BY", &wrong_by);
        command
    };
    set(0);
    // In the foreground, since a daemon in the background would not get these variables.
    let serve = Stranger::start(command(&["serve"]).stdin(Stdio::null()));
    eventually("it serves", LIMIT, || instance.exai(&["status"]).status.success());
    let mut client = Client::start(command(&["shim", "--server", "fix"]));
    client.initialize(&json!({}));
    let server = client.call("pid", &json!({}));
    let (before, written) = (tree(&instance), record(&instance)["identity"].clone());
    assert_eq!(daemon(&instance), serve.identity);
    for wrong in [-3600, 0, 3600, 86_400 * 365, -86_400 * 365 * 20, 1] {
        set(wrong);
        let output = command(&["status", "--json"]).output().expect("it runs");
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a document");
        assert_eq!(
            (&status["state"], &status["daemon"]["identity_verified"]),
            (&json!("running"), &json!(true))
        );
        assert_eq!(number(&status["daemon"]["pid"]), serve.identity.pid, "{wrong}");
        assert_eq!(client.call("pid", &json!({})), server, "{wrong}: the same server");
        assert_eq!(command(&["start"]).output().expect("it runs").status.code(), Some(0));
        assert_eq!((tree(&instance), &record(&instance)["identity"]), (before.clone(), &written), "{wrong}");
    }
    // The next daemon must end what was recorded under another clock. The stopped guard cannot end it before that.
    signal("STOP", before[0].pid);
    end(&serve.identity);
    end(&before[0]);
    drop(client);
    set(-7200);
    let begun = Instant::now();
    let started = command(&["start"]).output().expect("it runs");
    assert!(started.status.success());
    eventually("the recorded tree is swept", SECOND * 5, || {
        !before.iter().any(|one| identify(one.pid).as_ref() == Some(one))
    });
    eprintln!("6 wrong clocks, every identity the same; swept by record {:.2?} after that", begun.elapsed());
}
