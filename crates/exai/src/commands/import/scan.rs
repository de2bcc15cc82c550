//! Reads what every client has.

use std::collections::BTreeSet;

use exai_setup::ServerEntry;
use exai_setup::client::{Client, Directories, FoundServer, starts_exai};
use exai_setup::import::{Candidate, Obstacle, Origin};

use super::comparison::prepare;
use crate::client_config::installs::Installs;
use crate::client_config::{self, Located};
use crate::error::Error;

/// What the clients have.
pub(super) struct Scan {
    /// The servers that exai can host.
    pub(super) candidates: Vec<Candidate>,
    /// The servers that stay where they are.
    pub(super) left: Vec<Left>,
    /// The files that could not be read, a sentence each.
    pub(super) problems: BTreeSet<String>,
}

/// A server that stays where it is.
pub(super) struct Left {
    /// The name of the client.
    pub(super) client: &'static str,
    pub(super) name: String,
    pub(super) why: String,
}

/// Reads the files of the clients.
pub(super) fn read_clients(
    clients: &[&'static Client],
    directories: &Directories,
    installs: &Installs,
) -> Scan {
    let mut scan = Scan { candidates: Vec::new(), left: Vec::new(), problems: BTreeSet::new() };
    for client in clients {
        for located in client_config::find_files(client, directories) {
            if let Err(error) = read_file(client, &located, installs, &mut scan) {
                scan.problems.insert(error.what().to_owned());
            }
        }
    }
    scan
}

fn read_file(
    client: &'static Client,
    located: &Located,
    installs: &Installs,
    scan: &mut Scan,
) -> Result<(), Error> {
    let path = &located.path;
    let (_, found) = client_config::read_servers(client, located)?;
    for unread in found.unread {
        scan.left.push(Left { client: client.display_name, name: unread.name, why: unread.reason });
    }
    // What exai stands in the place of already is nothing that the user has left there.
    let replaced = installs.find(client.id, path).map_or(&[][..], |install| &install.replaced);
    let is_replaced =
        |entry: &ServerEntry| entry.disabled && replaced.iter().any(|one| one.name == entry.name);
    let own = |server: &FoundServer| !starts_exai(&server.entry) && !is_replaced(&server.entry);
    for server in found.servers.into_iter().filter(own) {
        let name = server.entry.name.clone();
        let prepared = match server.project {
            Some(project) => Err(Obstacle::OneProject(project).to_string()),
            None => prepare(server.entry),
        };
        match prepared {
            Ok((entry, identity)) => {
                let origin = Origin { client: client.id, file: path.clone(), name };
                scan.candidates.push(Candidate { origin, entry, identity });
            }
            Err(why) => scan.left.push(Left { client: client.display_name, name, why }),
        }
    }
    Ok(())
}
