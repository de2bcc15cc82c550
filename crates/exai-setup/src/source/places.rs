//! The platform, and the directories that a bundle may refer to.

/// A platform, as bundles name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// `win32`
    Windows,
    /// `darwin`
    Mac,
    /// `linux`
    Linux,
}

impl Platform {
    /// As bundles name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Platform::Windows => "win32",
            Platform::Mac => "darwin",
            Platform::Linux => "linux",
        }
    }
}

/// The directories that a manifest may refer to, absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `${__dirname}`: where the bundle is unpacked.
    pub bundle: String,
    /// `${HOME}`
    pub home: String,
    /// `${DESKTOP}`
    pub desktop: String,
    /// `${DOCUMENTS}`
    pub documents: String,
    /// `${DOWNLOADS}`
    pub downloads: String,
}
