//! The message to a guard: see [`crate::tree_guard`].

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::str::FromStr;

use crate::descent_tag::DescentTag;
use crate::tree::{KillScope, Launch};

/// The longest order: no system allows as much for environment and arguments together.
const MAX_ORDER_BYTES: usize = 64 * 1024 * 1024;

/// A launch as the guard reads it.
pub(super) struct Order {
    pub(super) kill_scope: KillScope,
    pub(super) descent_tag: DescentTag,
    pub(super) cwd: PathBuf,
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
}

pub(super) fn write(launch: &Launch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut text = |text: &OsStr| {
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    let count = |number: usize| OsString::from(number.to_string());
    text(OsStr::new(match launch.kill_scope {
        KillScope::Descendants => "descendants",
        KillScope::Group => "group",
    }));
    text(OsStr::new(&launch.descent_tag.number().to_string()));
    text(launch.cwd.as_os_str());
    text(launch.program.as_os_str());
    text(&count(launch.args.len()));
    launch.args.iter().for_each(|arg| text(arg));
    text(&count(launch.env.len()));
    for (name, value) in &launch.env {
        text(name);
        text(value);
    }
    bytes
}

pub(super) fn read(source: &mut impl Read) -> io::Result<Order> {
    let mut left = MAX_ORDER_BYTES;
    let mut text = || -> io::Result<OsString> {
        let mut length = [0; 4];
        source.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        left = left.checked_sub(length.max(1)).ok_or_else(broken)?;
        let mut bytes = vec![0; length];
        source.read_exact(&mut bytes)?;
        Ok(OsString::from_vec(bytes))
    };
    let kill_scope = match text()?.as_bytes() {
        b"descendants" => KillScope::Descendants,
        b"group" => KillScope::Group,
        _ => return Err(broken()),
    };
    let descent_tag = DescentTag::from_number(number(&text()?)?);
    let cwd = text()?.into();
    let program = text()?.into();
    let args = (0..number::<usize>(&text()?)?).map(|_| text()).collect::<io::Result<_>>()?;
    let env = (0..number::<usize>(&text()?)?).map(|_| Ok((text()?, text()?))).collect::<io::Result<_>>()?;
    Ok(Order { kill_scope, descent_tag, cwd, program, args, env })
}

fn number<N: FromStr>(text: &OsStr) -> io::Result<N> {
    text.to_str().and_then(|text| text.parse().ok()).ok_or_else(broken)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an order for a guard")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Guard;

    #[test]
    fn an_order_arrives_as_it_was_given_whatever_its_bytes() {
        let odd = OsString::from_vec(b"a\0b\n\xff".to_vec());
        let launch = Launch {
            program: "/bin/x y".into(),
            args: vec![odd.clone(), OsString::new()],
            env: vec![("A".into(), odd), ("B".into(), "=".into())],
            cwd: "/".into(),
            kill_scope: KillScope::Group,
            descent_tag: DescentTag::new("abc", "x#1", KillScope::Group),
            guard: Guard { program: "exai".into(), args: Vec::new(), env: Vec::new() },
        };
        let bytes = write(&launch);
        let order = read(&mut &bytes[..]).unwrap();
        assert_eq!((order.program, order.args, order.env), (launch.program, launch.args, launch.env));
        assert_eq!(
            (order.cwd, order.kill_scope, order.descent_tag),
            (launch.cwd, KillScope::Group, launch.descent_tag)
        );
        assert!(read(&mut &bytes[..bytes.len() - 1]).is_err());
        assert!(read(&mut &[0xff; 8][..]).is_err());
    }
}
