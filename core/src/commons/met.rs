//! Whom families have met by themselves, without any network of the peer table knowing of it: so that
//! an operator who sees somebody in a family's list can ban it.
//!
//! An address here is what its bearer says it is. Nothing is called because of it. What a ban covers
//! besides are the certificates that were proved with it.

use std::collections::BTreeMap;

use crate::commons::address::HostAddr;
use crate::commons::bans::BanKey;

/// Addresses, and the names that their bearers proved. Whoever enters an address bounds how many there
/// are.
#[derive(Clone, Debug, Default)]
pub struct Met {
    names: BTreeMap<HostAddr, Vec<BanKey>>,
}

impl Met {
    /// Whether anybody was met whom a ban of `address` covers.
    pub(crate) fn contains(&self, address: &BanKey) -> bool {
        self.at(address).next().is_some()
    }

    /// What was proved by those whom a ban of `address` covers.
    pub(crate) fn names(&self, address: &BanKey) -> impl Iterator<Item = &BanKey> {
        self.at(address).flatten()
    }

    pub(crate) fn enter(&mut self, addr: HostAddr, names: Vec<BanKey>) {
        self.names.insert(addr, names);
    }

    pub(crate) fn strike_out(&mut self, addr: &HostAddr) {
        self.names.remove(addr);
    }

    fn at(&self, address: &BanKey) -> impl Iterator<Item = &Vec<BanKey>> {
        let all = self.names.iter();
        let there = all.filter(move |(addr, _)| BanKey::of_address(addr) == *address);
        there.map(|(_, names)| names)
    }
}
