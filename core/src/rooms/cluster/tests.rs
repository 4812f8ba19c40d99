//! The room on a table.
