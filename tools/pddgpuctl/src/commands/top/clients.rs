// SPDX-License-Identifier: GPL-2.0

//! How much memory each client takes up.

use pddgpu::{gem_list::Client, Domain};
use serde::Serialize;

use crate::clients::process_name;

/// How much memory a client's buffers take up, in bytes. A buffer that several clients share is in
/// the figures of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClientUse {
    pub name: String,
    pub buffers: u64,
    pub vram: u64,
    pub gtt: u64,
    pub cpu: u64,
}

impl ClientUse {
    /// Bytes in all domains together.
    pub fn total(&self) -> u64 {
        self.vram + self.gtt + self.cpu
    }
}

/// Adds up what each client uses. The largest one comes first, and clients without buffers are left
/// out.
pub fn by_use(clients: &[Client]) -> Vec<ClientUse> {
    let mut uses: Vec<_> = clients
        .iter()
        .filter(|client| !client.buffers.is_empty())
        .map(add_up)
        .collect();
    uses.sort_by_key(|client| std::cmp::Reverse(client.total()));
    uses
}

fn add_up(client: &Client) -> ClientUse {
    let in_domain = |domain| {
        let buffers = client.buffers.iter();
        buffers
            .filter(|buffer| buffer.placement == Some(domain))
            .map(|buffer| buffer.size)
            .sum()
    };
    ClientUse {
        name: process_name(client),
        buffers: client.buffers.len() as u64,
        vram: in_domain(Domain::Vram),
        gtt: in_domain(Domain::Gtt),
        cpu: in_domain(Domain::Cpu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_added_up_and_sorted() {
        let list = "\
client 3 pid 157 command small
         1 1  4096 GTT    GTT  0 4096 - 0x0 - -
client 4 pid 158 command none
client 5 pid 159 command lar\tge
         1 2  8192 VRAM   VRAM 0 0    - 0x0 - -
         2 3  4096 VRAM   VRAM 0 0    - 0x0 - -
         3 4  4096 CPU    CPU  0 4096 - 0x0 - -
         4 5  4096 CPU    -    0 0    - 0x0 - -
client - (no handle)
         - 6  12288 GTT   CPU  0 4096 - 0x0 - -
";
        let uses = by_use(&pddgpu::gem_list::parse(list).unwrap());
        let names: Vec<_> = uses.iter().map(|client| client.name.as_str()).collect();
        assert_eq!(names, ["lar?ge (159)", "(no handle)", "small (157)"]);
        assert_eq!((uses[0].vram, uses[0].gtt, uses[0].cpu), (12288, 0, 4096));
        assert_eq!((uses[0].buffers, uses[0].total()), (4, 16384));
    }
}
