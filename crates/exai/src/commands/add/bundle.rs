//! The files of a bundle (`.mcpb`, formerly `.dxt`), and their place in the state directory.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use exai_config::Home;
use exai_os::private;
use exai_setup::source::{Bundle, BundleFile};

use crate::bundle_files::{Unpacking, clear_abandoned};
use crate::error::Error;

/// A bundle that has been looked into, and not been unpacked.
pub(super) struct PackedBundle {
    /// The zip file.
    pub(super) bytes: Vec<u8>,
    /// Where it comes from.
    pub(super) shown: String,
    /// Where its files belong.
    pub(super) directory: PathBuf,
    /// The program that starts the server, if it is a file of the bundle: its path in there.
    pub(super) program: Option<PathBuf>,
}

/// A bundle whose files are in the state directory.
pub(super) struct UnpackedBundle {
    directory: PathBuf,
    is_new: bool,
}

impl PackedBundle {
    /// Unpacks the files: all of them, or none. A bundle whose files are there already is left as it is.
    pub(super) fn unpack(&self, home: &Home) -> Result<UnpackedBundle, Error> {
        let refuse = |error: &dyn std::fmt::Display| {
            Error::failed(format!("{}: {error}; nothing was added", self.shown))
        };
        if self.directory.is_dir() {
            return Ok(UnpackedBundle { directory: self.directory.clone(), is_new: false });
        }
        clear_abandoned(home);
        let unpacking = Unpacking::begin(home).map_err(|error| refuse(&error))?;
        let mut bundle = Bundle::open(&self.bytes).map_err(|error| refuse(&error))?;
        let mut write =
            |file: &BundleFile, contents: &mut dyn Read| self.write(unpacking.path(), file, contents);
        bundle.unpack(&mut write).map_err(|error| refuse(&error))?;
        unpacking.finish(&self.directory).map_err(|error| refuse(&error))?;
        Ok(UnpackedBundle { directory: self.directory.clone(), is_new: true })
    }

    fn write(&self, root: &Path, file: &BundleFile, contents: &mut dyn Read) -> io::Result<()> {
        let relative: PathBuf = file.path.split('/').collect();
        let path = root.join(&relative);
        if let Some(parent) = path.parent() {
            private::ensure_dir(parent).map_err(io::Error::other)?;
        }
        // A zip that was made on Windows does not say which files are programs.
        let executable = file.executable || self.program.as_deref() == Some(&*relative);
        io::copy(contents, &mut private::create_new(&path, executable)?)?;
        Ok(())
    }
}

impl UnpackedBundle {
    /// Removes the files again, if they were not there before.
    pub(super) fn undo(self) {
        if self.is_new {
            // The error that has led here is the one to tell.
            let _ = crate::bundle_files::remove(&self.directory);
        }
    }
}
