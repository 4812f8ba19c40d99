//! A Mimblewimble chain: headers, blocks, transactions that wait, and the node API v1 over them.

mod access;
#[expect(dead_code, reason = "the room's handlers do not use it yet")]
mod dandelion;
pub mod http;
pub mod page;
#[expect(dead_code, reason = "the room's handlers do not use it yet")]
mod pool;
pub mod rows;
pub mod source;
pub mod types;

use crate::commons::Notice;
use crate::config::Config;
use crate::cx::Cx;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::node::RestoreError;
use crate::rng::Stream;
use crate::rooms::{Room, Row as AnyRow, Scope};
use crate::time::Now;
use crate::verify::Verdict;

pub use rows::Row;
pub use types::{Event, Request, Response, Then, Timer};

/// The room.
#[derive(Clone, Debug)]
pub struct Grin;

impl Room for Grin {
    const SCOPE: Scope = Scope::Grin;
    type Request = Request;
    type Response = Response;
    type Then = Then;
    type Row = Row;
    type Timer = Timer;

    fn new(_: &Config, _: &mut Stream) -> Self {
        Self
    }

    fn start(&mut self, _: &mut Cx<'_, Self>) {}

    fn request(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, _: &Caller, _: Request) {
        cx.respond(id, Response::NotFound);
    }

    fn reply(&mut self, _: &mut Cx<'_, Self>, _: Then, _: Result<Answer, CallError>) {}

    fn verdict(&mut self, _: &mut Cx<'_, Self>, _: Then, _: Verdict) {}

    fn timer(&mut self, _: &mut Cx<'_, Self>, _: Timer) {}

    fn notice(&mut self, _: &mut Cx<'_, Self>, _: &Notice) {}

    fn restore(&mut self, _: Now, _: Row) -> Result<(), RestoreError> {
        Ok(())
    }

    fn export(&self, _: &mut Vec<AnyRow>) {}

    fn gauges(&self, _: &mut dyn FnMut(&'static str, u64)) {}
}
