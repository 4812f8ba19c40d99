//! The rules of HTTP that hold for every route: negotiation, queries, pages, throttles.

pub mod headers;
pub mod negotiate;
pub mod page;
pub mod path;
pub mod query;
pub mod show;
pub mod throttle;
pub mod too_large;
