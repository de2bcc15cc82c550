//! MCP bundles: `.mcpb`, formerly `.dxt`: a zip with a server and its `manifest.json`.
//!
//! <https://github.com/modelcontextprotocol/mcpb>

use std::io::{self, Cursor, Read};

use zip::CompressionMethod;
use zip::read::ZipArchive;

use super::bundle_path::{Paths, find_danger};
use super::error::SourceError;
use super::manifest::Manifest;
use super::places::{Places, Platform};
use super::plan::Plan;

/// How many files a bundle may have.
pub const MAX_BUNDLE_FILES: usize = 20_000;

/// How much a bundle may be unpacked, in bytes.
pub const MAX_BUNDLE_BYTES: u64 = 512 << 20;

/// How many times larger than its packed form a bundle, and each of its files, may be, beyond [`RATIO_FREE_BYTES`].
/// Source code packs to a fifth; deflate reaches 1032.
const MAX_RATIO: u64 = 100;
const RATIO_FREE_BYTES: u64 = 16 << 20;

/// How long a `manifest.json` may be, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

const MANIFEST: &str = "manifest.json";

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// Where it belongs, relative to the directory of the bundle, with `/` between its parts. The path is safe: it does
    /// not leave that directory, is no link, and no other file of the bundle has it, whatever the case.
    pub path: String,
    /// How large it is, in bytes.
    pub size: u64,
    /// Whether it is a program.
    pub executable: bool,
    index: usize,
}

/// Why a bundle could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The bundle is not what it says.
    #[error(transparent)]
    Bundle(#[from] SourceError),
    /// A file could not be written.
    #[error("`{path}` of the bundle could not be written: {error}")]
    Write {
        /// The path in the bundle.
        path: String,
        /// Why.
        error: io::Error,
    },
}

/// A bundle whose list of files and manifest have been checked. It borrows the bytes of the archive, and unpacks one file
/// at a time.
#[derive(Debug)]
pub struct Bundle<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    files: Vec<BundleFile>,
    manifest: Manifest,
}

impl<'a> Bundle<'a> {
    /// Opens a bundle: checks the names, kinds and sizes of all files, and reads the manifest.
    pub fn open(bytes: &'a [u8]) -> Result<Bundle<'a>, SourceError> {
        if bytes.len() as u64 > MAX_BUNDLE_BYTES {
            return Err(too_large());
        }
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| broken())?;
        let files = list_files(&mut archive, bytes.len() as u64)?;
        let manifest = files
            .iter()
            .find(|file| file.path == MANIFEST)
            .ok_or_else(|| SourceError::new("the bundle has no `manifest.json`"))?;
        if manifest.size > MAX_MANIFEST_BYTES {
            return Err(SourceError::new("`manifest.json` of the bundle has more than 1 MiB"));
        }
        let mut text = Vec::new();
        let mut reader = open_file(&mut archive, manifest)?;
        reader.read_to_end(&mut text).map_err(|_| broken_file(MANIFEST))?;
        reader.finish()?;
        let text = String::from_utf8(text)
            .map_err(|_| SourceError::new("`manifest.json` of the bundle is no UTF-8 text"))?;
        let manifest = Manifest::read(&text)
            .map_err(|error| SourceError::new(format!("`manifest.json` of the bundle: {error}")))?;
        Ok(Bundle { archive, files, manifest })
    }

    /// The files, in the order of the archive. Directories are made as files need them.
    pub fn files(&self) -> &[BundleFile] {
        &self.files
    }

    /// What the bundle says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How the server is started once its files are in `places.bundle`, and what the user is asked before.
    pub fn plan(&self, places: &Places, platform: Platform) -> Result<Plan, SourceError> {
        let has_file = |path: &str| self.files.iter().any(|file| file.path == path);
        self.manifest.plan(&has_file, places, platform)
    }

    /// Gives each file and its contents to `write`, which must create it anew (a file system may take names for equal
    /// that differ in more than case). Contents that are longer, shorter or other than declared are an error; what was
    /// written until then is to be removed.
    pub fn unpack(
        &mut self,
        write: &mut dyn FnMut(&BundleFile, &mut dyn Read) -> io::Result<()>,
    ) -> Result<(), UnpackError> {
        for file in &self.files {
            let mut reader = open_file(&mut self.archive, file)?;
            let written = write(file, &mut reader);
            if reader.is_broken {
                return Err(broken_file(&file.path).into());
            }
            written.map_err(|error| UnpackError::Write { path: file.path.clone(), error })?;
            reader.finish()?;
        }
        Ok(())
    }
}

fn list_files(archive: &mut ZipArchive<Cursor<&[u8]>>, packed: u64) -> Result<Vec<BundleFile>, SourceError> {
    if archive.len() > MAX_BUNDLE_FILES {
        return Err(SourceError::new(format!("the bundle has more than {MAX_BUNDLE_FILES} files")));
    }
    // Files that share their packed bytes are a bomb, and so is one name for two files.
    if archive.has_duplicate_names() || archive.has_overlapping_files().map_err(|_| broken())? {
        return Err(SourceError::new("files of the bundle overlap each other"));
    }
    let mut paths = Paths::default();
    let mut files = Vec::new();
    let mut total: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|_| broken())?;
        let name =
            entry.name().map_err(|_| SourceError::new("the name of a file in the bundle is no text"))?;
        let is_directory = name.ends_with('/');
        let path = name.strip_suffix('/').unwrap_or(&name).to_owned();
        let refuse = |why: &str| SourceError::new(format!("a path in the bundle {why}: {path:?}"));
        if let Some(danger) = find_danger(&path) {
            return Err(refuse(danger));
        }
        let mode = entry.unix_mode();
        match mode.map_or(0, |mode| mode & 0o170_000) {
            0 | 0o100_000 if !is_directory => {}
            0 | 0o040_000 if is_directory => {}
            0o120_000 => return Err(refuse("is a link")),
            _ => return Err(refuse("is no file and no directory")),
        }
        paths.add(&path, is_directory).map_err(refuse)?;
        if is_directory {
            continue;
        }
        if entry.encrypted() {
            return Err(refuse("is encrypted"));
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(refuse("is compressed in a way that is not known"));
        }
        let size = entry.size();
        total = total.saturating_add(size);
        if total > MAX_BUNDLE_BYTES {
            return Err(too_large());
        }
        if is_bomb(size, entry.compressed_size()) {
            return Err(refuse("unpacks to far more than its size"));
        }
        let executable = mode.is_some_and(|mode| mode & 0o111 != 0);
        files.push(BundleFile { path, size, executable, index });
    }
    if is_bomb(total, packed) {
        return Err(SourceError::new("the bundle unpacks to far more than its size"));
    }
    Ok(files)
}

fn is_bomb(size: u64, packed: u64) -> bool {
    size > packed.saturating_mul(MAX_RATIO).saturating_add(RATIO_FREE_BYTES)
}

/// The contents of one file, which must be exactly as long as declared.
struct FileReader<R> {
    inner: R,
    left: u64,
    path: String,
    is_broken: bool,
}

fn open_file<'a>(
    archive: &'a mut ZipArchive<Cursor<&[u8]>>,
    file: &BundleFile,
) -> Result<FileReader<impl Read + 'a>, SourceError> {
    let inner = archive.by_index(file.index).map_err(|_| broken_file(&file.path))?;
    Ok(FileReader { inner, left: file.size, path: file.path.clone(), is_broken: false })
}

impl<R: Read> Read for FileReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        let count = match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(_) => None,
            Ok(0) if self.left > 0 && !buffer.is_empty() => None,
            Ok(count) => Some(count).filter(|count| *count as u64 <= self.left),
        };
        let Some(count) = count else {
            self.is_broken = true;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file in the bundle is broken"));
        };
        self.left -= count as u64;
        Ok(count)
    }
}

impl<R: Read> FileReader<R> {
    /// Reads what the receiver has left, so that the check sum is compared.
    fn finish(mut self) -> Result<(), SourceError> {
        let rest = io::copy(&mut self, &mut io::sink());
        rest.map(drop).map_err(|_| broken_file(&self.path))
    }
}

fn broken() -> SourceError {
    SourceError::new("the bundle is no valid zip file")
}

fn broken_file(path: &str) -> SourceError {
    SourceError::new(format!("`{path}` in the bundle is broken"))
}

fn too_large() -> SourceError {
    SourceError::new(format!("the bundle has more than {} MiB", MAX_BUNDLE_BYTES >> 20))
}

#[cfg(test)]
mod tests;
