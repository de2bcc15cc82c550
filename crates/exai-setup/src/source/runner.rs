//! The programs that run packages, and what a registry answer may tell them.

/// A program that runs packages of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// `npx`, for npm.
    Npx,
    /// `uvx`, for PyPI.
    Uvx,
    /// `dnx`, for NuGet.
    Dnx,
    /// `docker`, for images.
    Docker,
}

/// What is done with an option of a registry answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is harmless.
    Taken,
    /// It makes a path of this machine, which the user says, visible in a container.
    Mount,
    /// It is there anyway.
    Given,
    /// It may choose a program, a source of packages or rights.
    Refused,
}

impl Runner {
    /// The runner for the kind of package that a registry names.
    pub(crate) fn find(kind: &str) -> Option<Runner> {
        match kind {
            "npm" => Some(Runner::Npx),
            "pypi" => Some(Runner::Uvx),
            "nuget" => Some(Runner::Dnx),
            "oci" | "docker" => Some(Runner::Docker),
            _ => None,
        }
    }

    /// The program.
    pub fn program(self) -> &'static str {
        match self {
            Runner::Npx => "npx",
            Runner::Uvx => "uvx",
            Runner::Dnx => "dnx",
            Runner::Docker => "docker",
        }
    }

    /// What stands before the package, before all options.
    pub(crate) fn first_words(self) -> &'static [&'static str] {
        match self {
            Runner::Npx => &["-y"],
            Runner::Uvx | Runner::Dnx => &[],
            Runner::Docker => &["run", "-i", "--rm"],
        }
    }

    /// What stands behind the package.
    pub(crate) fn last_words(self) -> &'static [&'static str] {
        match self {
            // Without it dnx asks whether it may download.
            Runner::Dnx => &["--yes"],
            _ => &[],
        }
    }

    /// What stands before the arguments of the package.
    pub(crate) fn separator(self) -> Option<&'static str> {
        (self == Runner::Dnx).then_some("--")
    }

    /// The package as the program takes it, in exactly this version.
    pub(crate) fn name_package(
        self,
        identifier: &str,
        version: Option<&str>,
        base: Option<&str>,
    ) -> Result<String, &'static str> {
        if !self.is_identifier(identifier) {
            return Err("the identifier of a package is not valid");
        }
        if self == Runner::Docker {
            return Ok(name_image(identifier, version, base));
        }
        if base.is_some_and(|base| !self.is_usual_registry(base)) {
            return Err("a package is in another registry than the usual one");
        }
        match version {
            Some("latest") | None => Err("a package has no fixed version"),
            Some(version) => Ok(format!("{identifier}@{version}")),
        }
    }

    /// Whether a package is where the program looks for it unless the user has said otherwise. A package of the same name in
    /// another registry would be another program.
    fn is_usual_registry(self, base: &str) -> bool {
        let (name, endings): (&str, &[&str]) = match self {
            Runner::Npx => ("npmjs", &["org", "com"]),
            Runner::Uvx => ("pypi", &["org"]),
            Runner::Dnx => ("nuget", &["org"]),
            Runner::Docker => return false,
        };
        let Some(rest) = base.strip_prefix("https://") else { return false };
        let host = rest.split('/').next().unwrap_or_default();
        let mut labels = host.rsplit('.');
        let ending = labels.next();
        ending.is_some_and(|ending| endings.contains(&ending)) && labels.next() == Some(name)
    }

    fn is_identifier(self, identifier: &str) -> bool {
        let is_part = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~');
            let first =
                part.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '~');
            first && part.chars().all(allowed)
        };
        let is_short = identifier.len() <= 400;
        is_short
            && match self {
                Runner::Npx => match identifier.strip_prefix('@') {
                    Some(scoped) => {
                        scoped.split_once('/').is_some_and(|(scope, name)| is_part(scope) && is_part(name))
                    }
                    None => is_part(identifier),
                },
                Runner::Uvx | Runner::Dnx => is_part(identifier) && !identifier.contains('~'),
                Runner::Docker => is_image(identifier),
            }
    }

    /// What is done with an option. A value that is a gap is the user's.
    pub(crate) fn judge_option(self, name: &str, value: Option<&str>) -> Verdict {
        let plain = |taken: &[&str], given: &[&str]| match name {
            _ if value.is_some() => Verdict::Refused,
            _ if given.contains(&name) => Verdict::Given,
            _ if taken.contains(&name) => Verdict::Taken,
            _ => Verdict::Refused,
        };
        match self {
            Runner::Npx => plain(&["-q", "--quiet", "--prefer-offline", "--prefer-online"], &["-y", "--yes"]),
            Runner::Uvx => match (name, value) {
                ("-p" | "--python", Some(version)) if is_python_version(version) => Verdict::Taken,
                _ => plain(&["-q", "--quiet", "--no-progress"], &[]),
            },
            Runner::Dnx => plain(&["--prerelease"], &["-y", "--yes"]),
            Runner::Docker => judge_docker_option(name, value),
        }
    }
}

fn is_python_version(version: &str) -> bool {
    version.starts_with('3') && version.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// `[host[:port]/]path[:tag][@sha256:digest]`
fn is_image(image: &str) -> bool {
    let (path, digest) = image.split_once('@').map_or((image, None), |(path, digest)| (path, Some(digest)));
    let is_digest = |digest: &str| {
        let hex = digest.strip_prefix("sha256:");
        hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let is_part = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(allowed)
    };
    path.split('/').all(is_part) && digest.is_none_or(is_digest)
}

fn name_image(identifier: &str, version: Option<&str>, base: Option<&str>) -> String {
    let mut image = identifier.to_owned();
    // Before 2025-10-11 the host stood apart.
    let host = base.map(|base| base.trim_start_matches("https://").trim_end_matches('/'));
    let has_host = identifier.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']));
    if let Some(host) = host.filter(|host| !has_host && !host.is_empty() && is_image(host))
        && host != "docker.io"
    {
        image = format!("{host}/{image}");
    }
    let last = identifier.rsplit('/').next().unwrap_or_default();
    match version {
        Some(version) if !last.contains([':', '@']) => format!("{image}:{version}"),
        _ => image,
    }
}

fn judge_docker_option(name: &str, value: Option<&str>) -> Verdict {
    const TAKEN: [&str; 18] = [
        "-e",
        "--env",
        "--network",
        "--net",
        "-p",
        "--publish",
        "--platform",
        "--pull",
        "-w",
        "--workdir",
        "-m",
        "--memory",
        "--cpus",
        "--add-host",
        "-l",
        "--label",
        "--tmpfs",
        "--shm-size",
    ];
    match (name, value) {
        ("run" | "-i" | "--interactive" | "--rm", None) => Verdict::Given,
        ("--init" | "--read-only", None) => Verdict::Taken,
        (option, Some(value)) if TAKEN.contains(&option) && !value.is_empty() => Verdict::Taken,
        ("-v" | "--volume", Some(mount)) => judge_volume(mount),
        ("--mount", Some(mount)) => judge_mount(mount),
        _ => Verdict::Refused,
    }
}

/// `source:target[:options]`: the source is the user's, or the name of a volume.
fn judge_volume(mount: &str) -> Verdict {
    if mount.starts_with("${input:") {
        return Verdict::Mount;
    }
    let source = mount.split_once(':').map(|(source, _)| source);
    match source {
        Some(source) if is_volume_name(source) => Verdict::Taken,
        _ => Verdict::Refused,
    }
}

/// `type=bind,source=…,target=…`: the source is the user's, or the name of a volume.
fn judge_mount(mount: &str) -> Verdict {
    if mount.starts_with("${input:") && mount.find('}') == Some(mount.len() - 1) {
        return Verdict::Mount;
    }
    let mut verdict = Verdict::Taken;
    for field in mount.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match key {
            "type" if matches!(value, "bind" | "volume" | "tmpfs") => {}
            "src" | "source" if value.starts_with("${input:") => verdict = Verdict::Mount,
            "src" | "source" if is_volume_name(value) => {}
            "dst" | "destination" | "target" | "readonly" | "ro" => {}
            _ => return Verdict::Refused,
        }
    }
    verdict
}

/// The key of the question for what is mounted: the source, or all of it.
pub(crate) fn find_mount_source(mount: &str) -> Option<&str> {
    let key_of = |text: &'_ str| text.strip_prefix("${input:").and_then(|text| text.find('}'));
    let source = |field: &&str| field.starts_with("src=") || field.starts_with("source=");
    let field = mount
        .split(',')
        .find(source)
        .and_then(|field| field.split_once('='))
        .map_or(mount, |(_, value)| value);
    let end = key_of(field)?;
    field.get("${input:".len()..)?.get(..end)
}

fn is_volume_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed)
}

/// Whether a variable tells a runner, a loader or a runtime what to load, or where from.
pub(crate) fn chooses_programs(variable: &str) -> bool {
    const STARTS: [&str; 10] =
        ["LD_", "DYLD_", "NPM_", "UV_", "PIP_", "DOTNET_", "NUGET_", "DOCKER_", "GIT_", "CORECLR_"];
    const NAMES: [&str; 24] = [
        "PATH",
        "PATHEXT",
        "COMSPEC",
        "SHELL",
        "ENV",
        "BASH_ENV",
        "HOME",
        "USERPROFILE",
        "APPDATA",
        "LOCALAPPDATA",
        "SYSTEMROOT",
        "WINDIR",
        "NODE_OPTIONS",
        "NODE_PATH",
        "NODE_EXTRA_CA_CERTS",
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "PYTHONUSERBASE",
        "PYTHONEXECUTABLE",
        "PYTHONBREAKPOINT",
        "JAVA_TOOL_OPTIONS",
        "SSL_CERT_FILE",
    ];
    let name = variable.to_ascii_uppercase();
    STARTS.iter().any(|start| name.starts_with(start)) || NAMES.contains(&name.as_str())
}
