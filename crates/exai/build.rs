//! Gives `exai.exe` its manifest: made for Windows 10 and later (what does not say so is put into a job of the Program
//! Compatibility Assistant when it is started from the desktop), paths longer than 260 characters, and UTF-8.

#[expect(clippy::disallowed_methods, reason = "cargo's word about the target, not a setting")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        let manifest = embed_manifest::new_manifest("exai");
        embed_manifest::embed_manifest(manifest).expect("the manifest can be written to OUT_DIR");
    }
}
