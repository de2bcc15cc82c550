use super::*;

#[test]
fn no_path_leads_out() {
    let tree = Tree::new();
    tree.write("home/project/a.rs", "a");
    tree.write("home/project-2/b.rs", "OUTSIDE");
    let access = tree.project();
    let outside = [
        "../../outside/other.txt".to_owned(),
        "a.rs/../../../outside/other.txt".to_owned(),
        "gone/../../../outside/other.txt".to_owned(),
        "..".to_owned(),
        "../project-2/b.rs".to_owned(),
        tree.text("outside/other.txt"),
        uri(&tree.at("outside/other.txt")),
        // Whether it exists is not told.
        tree.text("outside/gone.txt"),
        if cfg!(windows) { r"\\server\share\x" } else { "/etc/passwd" }.to_owned(),
        if cfg!(windows) { r"\\.\pipe\x" } else { "//etc/passwd" }.to_owned(),
    ];
    for path in &outside {
        assert_eq!(refusal(&access, path), "outside", "{path}");
    }
    let sentence = collect_all(&access, &[".."]).omitted[0].to_string();
    assert_eq!(sentence, format!(".. is outside of what may be read: {}", tree.text("home/project")));
    assert_eq!(names(&collect_all(&access, &["./x/../a.rs"])), ["a.rs"]);
}
