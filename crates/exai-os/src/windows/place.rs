use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStringExt as _;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::windows::io::AsRawHandle as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DIRECTORY, FILE_FLAG_BACKUP_SEMANTICS, FILE_NAME_NORMALIZED, FILE_TYPE_DISK, GetFileType,
    GetFinalPathNameByHandleW,
};

use crate::place::{Entry, EntryKind};

/// A handle that reads. Opening a file on a disk does nothing yet.
pub(crate) type Held = File;

pub(crate) fn find(path: &Path) -> io::Result<(Held, PathBuf, bool)> {
    let held = OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
    // SAFETY: an open handle.
    if unsafe { GetFileType(held.as_raw_handle()) } != FILE_TYPE_DISK {
        let sentence = "is neither a regular file nor a directory";
        return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
    }
    let is_directory = held.metadata()?.file_attributes() & FILE_ATTRIBUTE_DIRECTORY != 0;
    let real_path = real_path(&held)?;
    Ok((held, real_path, is_directory))
}

fn real_path(held: &File) -> io::Result<PathBuf> {
    let mut units = vec![0u16; 512];
    loop {
        let room = u32::try_from(units.len()).unwrap_or(u32::MAX);
        // SAFETY: an open handle, and a buffer of as many units as are given.
        let length = unsafe {
            GetFinalPathNameByHandleW(held.as_raw_handle(), units.as_mut_ptr(), room, FILE_NAME_NORMALIZED)
        } as usize;
        match length {
            0 => return Err(io::Error::last_os_error()),
            length if length < units.len() => return Ok(plain(&units[..length])),
            // The length that is needed, with the final zero.
            length => units.resize(length + 1, 0),
        }
    }
}

/// The path without the mark for programs that know long paths, where there is another way to write it.
fn plain(units: &[u16]) -> PathBuf {
    let path = OsString::from_wide(units);
    let Some(text) = path.to_str() else { return path.into() };
    match text.strip_prefix(r"\\?\") {
        Some(rest) if rest.as_bytes().get(1) == Some(&b':') => rest.into(),
        Some(rest) => match rest.strip_prefix(r"UNC\") {
            Some(share) => format!(r"\\{share}").into(),
            None => path.into(),
        },
        None => path.into(),
    }
}

pub(crate) fn open(held: &Held) -> io::Result<File> {
    held.try_clone()
}

/// A directory is read by its path: one that is replaced meanwhile shows the names in another directory, and each of
/// them is looked for again before it is read.
pub(crate) fn entries(
    _held: &Held,
    real_path: &Path,
) -> io::Result<impl Iterator<Item = io::Result<Entry>> + use<>> {
    Ok(std::fs::read_dir(real_path)?.map(|entry| {
        let entry = entry?;
        let found = entry.metadata()?;
        let kind = if found.is_symlink() {
            EntryKind::Link
        } else if found.is_dir() {
            EntryKind::Directory
        } else {
            EntryKind::File
        };
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Entry { name: entry.file_name(), kind, modified })
    }))
}
