//! The API families, a folder each.

pub mod chainweb_mempool;
