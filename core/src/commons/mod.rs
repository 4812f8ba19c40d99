//! What the rooms share: names of hosts, addresses of peers, networks.

pub mod address;
pub mod network;
