//! The published contract: whole exchanges as snapshots, and the vector files replayed.
//!
//! A snapshot holds literal requests (`>`), calls (`=`), writes (`#`) and answers (`<`) in the order
//! in which they happened. Seed and clock are fixed, so nothing is filtered.

mod vectors;
