//! Images for models that see.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::models::request::Image;

use super::access::FileAccess;
use super::content::read_bytes;
use super::embedded::Omitted;
use super::interrupt::{Interrupt, Interrupted};
use super::limits::{MAX_IMAGE_BYTES, MAX_IMAGES};
use super::reason::{Failure, Reason};
use super::shown::shown;

/// Images as they are put before a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// The images, in the order in which the call has named them.
    pub images: Vec<Image>,
    /// What is left out, and why.
    pub omitted: Vec<Omitted>,
}

/// Reads the images that a call names: paths, which must be of files that may be read, or `data:` URLs.
pub fn collect_images(
    arguments: &[String],
    access: &FileAccess,
    interrupt: &Interrupt<'_>,
) -> Result<Images, Interrupted> {
    let mut images = Images::default();
    for (index, argument) in arguments.iter().enumerate() {
        interrupt.check()?;
        if index == MAX_IMAGES {
            let omitted =
                Omitted { name: "the call".to_owned(), is_named: true, reason: Reason::TooManyImages };
            images.omitted.push(omitted);
            break;
        }
        match read(argument, access, interrupt) {
            Ok(image) => images.images.push(image),
            Err(Failure::Interrupted(interrupted)) => return Err(interrupted),
            Err(Failure::Omitted(reason)) => {
                images.omitted.push(Omitted { name: name(argument), is_named: true, reason });
            }
        }
    }
    Ok(images)
}

/// A data: URL is not shown whole: nobody knows an image by its beginning.
fn name(argument: &str) -> String {
    if is_data_url(argument) { "the data: URL".to_owned() } else { shown(argument) }
}

fn is_data_url(argument: &str) -> bool {
    argument.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

fn read(argument: &str, access: &FileAccess, interrupt: &Interrupt<'_>) -> Result<Image, Failure> {
    if argument.starts_with("https://") || argument.starts_with("http://") {
        return Err(Reason::NoImage("is on the web, and nothing is fetched from there").into());
    }
    let bytes = if is_data_url(argument) {
        decode(argument)?
    } else {
        let place = access.find(argument)?;
        if place.is_directory() {
            return Err(Reason::NoImage("is a directory").into());
        }
        read_bytes(&place, MAX_IMAGE_BYTES, interrupt)?
    };
    let media_type = media_type(&bytes).ok_or(Reason::NoImage("is no PNG, JPEG, GIF or WebP image"))?;
    Ok(Image { media_type: media_type.to_owned(), base64: STANDARD.encode(bytes) })
}

/// The bytes of `data:image/png;base64,…`. What the URL says of their type is not believed.
fn decode(url: &str) -> Result<Vec<u8>, Reason> {
    let (head, body) = url.split_once(',').ok_or(Reason::NoImage("is no data: URL"))?;
    if !head.to_ascii_lowercase().ends_with(";base64") {
        return Err(Reason::NoImage("is not in Base64"));
    }
    // Three bytes are four characters.
    let bytes = body.len() as u64 / 4 * 3;
    if bytes > MAX_IMAGE_BYTES + 3 {
        return Err(Reason::FileTooLarge { bytes, most: MAX_IMAGE_BYTES });
    }
    let decoded = STANDARD.decode(body).or_else(|_| STANDARD_NO_PAD.decode(body));
    let decoded = decoded.map_err(|_| Reason::NoImage("is not in Base64"))?;
    let bytes = decoded.len() as u64;
    if bytes > MAX_IMAGE_BYTES {
        return Err(Reason::FileTooLarge { bytes, most: MAX_IMAGE_BYTES });
    }
    Ok(decoded)
}

/// By the first bytes, as each format defines them.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_first_bytes() {
        let table: [(&[u8], _); 7] = [
            (b"\x89PNG\r\n\x1a\nrest", Some("image/png")),
            (b"\xFF\xD8\xFF\xE0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"GIF87a", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"<svg/>", None),
            (b"", None),
        ];
        for (bytes, expected) in table {
            assert_eq!(media_type(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_data_url_is_decoded() {
        assert_eq!(decode("data:image/png;base64,YWI="), Ok(b"ab".to_vec()));
        assert_eq!(decode("DATA:;BASE64,YWI"), Ok(b"ab".to_vec()));
        assert_eq!(decode("data:image/png,ab"), Err(Reason::NoImage("is not in Base64")));
        assert_eq!(decode("data:image/png;base64,*"), Err(Reason::NoImage("is not in Base64")));
        assert_eq!(decode("data:"), Err(Reason::NoImage("is no data: URL")));
        let large = format!("data:;base64,{}", "A".repeat(7_000_000));
        assert!(matches!(decode(&large), Err(Reason::FileTooLarge { .. })));
    }
}
