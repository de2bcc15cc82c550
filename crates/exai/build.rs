//! Gives `exai.exe` its manifest: made for Windows up to 11 (what does not say so is put into a job of the Program
//! Compatibility Assistant when it is started from the desktop), paths longer than 260 characters where the machine allows
//! them, and UTF-8.

#[expect(clippy::disallowed_methods, reason = "cargo's word about the target, not a setting")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        let manifest = embed_manifest::new_manifest("exai");
        embed_manifest::embed_manifest(manifest).expect("the manifest can be written to OUT_DIR");
    }
}
