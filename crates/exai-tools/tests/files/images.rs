use exai_tools::files::{MAX_IMAGE_BYTES, MAX_IMAGES, collect_images};

use super::*;

#[test]
fn images_come_from_files_that_may_be_read_and_from_data_urls() {
    let tree = Tree::new();
    let png = b"\x89PNG\r\n\x1a\nrest";
    tree.write("home/project/a.png", png);
    tree.write("home/project/named.txt", b"GIF89a");
    tree.write("home/project/text.png", "text");
    tree.write("outside/b.png", png);
    let mut large = png.to_vec();
    large.resize(MAX_IMAGE_BYTES as usize + 1, 0);
    tree.write("home/project/large.png", large);
    let access = tree.project();
    let (outside, large) = (tree.text("outside/b.png"), "large.png");
    let table = [
        ("a.png", Ok("image/png")),
        ("named.txt", Ok("image/gif")),
        ("data:image/jpeg;base64,iVBORw0KGgo=", Ok("image/png")),
        ("text.png", Err("no_image")),
        (&outside, Err("outside")),
        (large, Err("file_too_large")),
        ("gone.png", Err("not_found")),
        (".", Err("no_image")),
        ("https://example.com/a.png", Err("no_image")),
        ("data:image/png;base64,AAAA", Err("no_image")),
    ];
    for (argument, expected) in table {
        let images = collect_images(&[argument.to_owned()], &access, &in_time()).unwrap();
        match expected {
            Ok(media_type) => assert_eq!(images.images[0].media_type, media_type, "{argument}"),
            Err(code) => {
                assert_eq!((images.images.len(), images.omitted[0].reason.code()), (0, code), "{argument}");
            }
        }
    }
    let images = collect_images(&["a.png".to_owned(), "data:,x".to_owned()], &access, &in_time()).unwrap();
    assert_eq!(images.images[0].base64, "iVBORw0KGgpyZXN0");
    assert_eq!(images.omitted[0].to_string(), "the data: URL is not in Base64");
    let many = vec!["a.png".to_owned(); MAX_IMAGES + 1];
    let images = collect_images(&many, &access, &in_time()).unwrap();
    assert_eq!((images.images.len(), images.omitted.len()), (MAX_IMAGES, 1));
    assert_eq!(images.omitted[0].reason.code(), "too_many_images");
}
