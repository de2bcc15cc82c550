//! Why a file is not put before a model.

use std::io;

use crate::explain::Explain;

use super::interrupt::Interrupted;
use super::limits::{MAX_FILE_BYTES, MAX_IMAGES};

/// Why a path is left out. The text is the end of a sentence that begins with the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The client has told no directory.
    #[error("may not be read: the client has told no directory in which files may be read")]
    NoDirectory,
    /// It is not in a directory that may be read, or a link has led out of it.
    #[error("is outside of what may be read: {allowed}")]
    Outside {
        /// The directories that may be read, in words.
        allowed: String,
    },
    /// A relative path, and no single directory to relate it to.
    #[error("is a relative path, and there are several directories that it may be relative to")]
    Ambiguous,
    /// It names no file, in words.
    #[error("{0}")]
    InvalidPath(&'static str),
    /// Nothing is there, or nothing is there any more.
    #[error("does not exist")]
    NotFound,
    /// A device, a FIFO, a socket, or something that the kernel makes up.
    #[error("is no regular file")]
    Special,
    /// Its name or place says that it holds secrets.
    #[error("is not read, since files of this name or place hold secrets")]
    Secret,
    /// It is hidden in a directory as broad as a whole home.
    #[error("is hidden in a directory that holds much more than a project")]
    Private,
    /// Hidden, and not named itself.
    #[error("is hidden")]
    Hidden,
    /// A link in a directory, which is not followed.
    #[error("is a link")]
    Link,
    /// A `.gitignore` names it, or it is a directory of tools such as `node_modules`.
    #[error("is ignored")]
    Ignored,
    /// A whole home, or the root of a file system.
    #[error("is too broad to be read as a whole")]
    TooBroad,
    /// Deeper below a named directory than files are looked for.
    #[error("is too deep below the named directory")]
    TooDeep,
    /// More files or entries of directories than one call may have.
    #[error("has more than {most} {what}: the rest is left out")]
    TooMany {
        /// How many there may be.
        most: usize,
        /// What they are.
        what: &'static str,
    },
    /// No text in UTF-8.
    #[error("is no text in UTF-8")]
    Binary,
    /// Longer than any file may be.
    #[error("is too large: {bytes} bytes, where {most} may be")]
    FileTooLarge {
        /// Its length.
        bytes: u64,
        /// How long it may be, in bytes.
        most: u64,
    },
    /// There is no room for it.
    #[error("has about {tokens} tokens, and there is room for {left}")]
    OverBudget {
        /// How long it is.
        tokens: usize,
        /// How much room there was.
        left: usize,
    },
    /// The operating system refuses.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It was put before a model earlier in this thread, and is still the same.
    #[error("was shown earlier in this thread, and has not changed since")]
    Unchanged,
    /// No image of a kind that models see.
    #[error("{0}")]
    NoImage(&'static str),
    /// More images than one call may have.
    #[error("has more than {MAX_IMAGES} images: the rest is left out")]
    TooManyImages,
}

impl Reason {
    /// Why something could not be found or opened.
    pub(super) fn of_io(error: &io::Error) -> Reason {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Reason::NotFound,
            // `exai_os::place`
            io::ErrorKind::InvalidData => Reason::Special,
            _ => Reason::Unreadable(error.to_string()),
        }
    }

    /// Whether a model should know that it does not see the file, though nobody has named the file.
    pub(super) fn concerns_model(&self) -> bool {
        matches!(
            self,
            Reason::FileTooLarge { .. }
                | Reason::OverBudget { .. }
                | Reason::TooMany { .. }
                | Reason::TooDeep
                | Reason::Unreadable(_)
        )
    }
}

impl Explain for Reason {
    fn code(&self) -> &'static str {
        match self {
            Reason::NoDirectory => "no_directory",
            Reason::Outside { .. } => "outside",
            Reason::Ambiguous => "ambiguous_path",
            Reason::InvalidPath(_) => "invalid_path",
            Reason::NotFound => "not_found",
            Reason::Special => "special_file",
            Reason::Secret => "secret",
            Reason::Private => "private",
            Reason::Hidden => "hidden",
            Reason::Link => "link",
            Reason::Ignored => "ignored",
            Reason::TooBroad => "too_broad",
            Reason::TooDeep => "too_deep",
            Reason::TooMany { .. } => "too_many_files",
            Reason::Binary => "binary",
            Reason::FileTooLarge { .. } => "file_too_large",
            Reason::OverBudget { .. } => "over_budget",
            Reason::Unreadable(_) => "unreadable",
            Reason::Unchanged => "unchanged",
            Reason::NoImage(_) => "no_image",
            Reason::TooManyImages => "too_many_images",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Reason::NoDirectory => {
                "Open a folder in the client, so that it tells its roots, or start its shim in the project; or name \
                 directories for all clients in config.toml: `[ai]`, `directories = [\"~/src\"]`."
            }
            Reason::Outside { .. } => {
                "Open the folder in the client, or add its directory to `directories` of `[ai]` in config.toml."
            }
            Reason::Ambiguous => "Give the whole path.",
            Reason::InvalidPath(_) | Reason::NotFound => "Give the path of a file or directory that exists.",
            Reason::Special => "Give the path of a regular file.",
            Reason::Secret => "Describe what matters in the file without its secrets.",
            Reason::Private | Reason::TooBroad => {
                "Open the project itself in the client, not the directory above it, or name files one by one."
            }
            Reason::Hidden | Reason::Link | Reason::Ignored => {
                "Name the file itself if the model should see it."
            }
            Reason::TooDeep | Reason::TooMany { .. } => "Name a smaller directory, or files.",
            Reason::Binary => "Pass images as `images`, and describe other files in the prompt.",
            Reason::FileTooLarge { most, .. } if *most == MAX_FILE_BYTES => {
                "Copy the part that matters to a file of its own, or into the prompt."
            }
            Reason::FileTooLarge { .. } => "Make the image smaller.",
            Reason::OverBudget { .. } => "Name fewer files, or choose a model with a larger context.",
            Reason::Unreadable(_) => "Look at the file's permissions.",
            Reason::Unchanged => return None,
            Reason::NoImage(_) => "Give the path or data: URL of a PNG, JPEG, GIF or WebP image.",
            Reason::TooManyImages => "Send the images in several calls.",
        };
        Some(hint.to_owned())
    }
}

/// Why there is nothing to show of a path: the path is left out, or the whole reading ends.
#[derive(Debug)]
pub(super) enum Failure {
    Omitted(Reason),
    Interrupted(Interrupted),
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Failure::Omitted(reason)
    }
}

impl From<Interrupted> for Failure {
    fn from(interrupted: Interrupted) -> Self {
        Failure::Interrupted(interrupted)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Omitted(Reason::of_io(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_end_of_a_sentence() {
        let reason = Reason::OverBudget { tokens: 500, left: 20 };
        assert_eq!(format!("a.rs {reason}."), "a.rs has about 500 tokens, and there is room for 20.");
        assert_eq!((reason.code(), reason.hint().is_some()), ("over_budget", true));
        let denied = io::Error::from_raw_os_error(13);
        assert!(matches!(Reason::of_io(&denied), Reason::Unreadable(why) if why.contains("13")));
    }
}
