//! Paths and bodies without a node.
