//! stub
pub mod command;
pub mod http;
pub mod signature;
mod types;
pub use types::*;
use crate::commons::Notice;
use crate::config::Config;
use crate::cx::Cx;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::node::RestoreError;
use crate::rng::Stream;
use crate::rooms::{self, Room, Scope};
use crate::time::Now;
use crate::verify::Verdict;
#[derive(Clone, Debug)]
pub struct ChainwebMempool;
impl Room for ChainwebMempool {
    const SCOPE: Scope = Scope::ChainwebMempool;
    type Request = Request;
    type Response = Response;
    type Then = Then;
    type Row = Row;
    type Timer = Timer;
    fn new(_: &Config, _: &mut Stream) -> Self { Self }
    fn start(&mut self, _: &mut Cx<'_, Self>) {}
    fn request(&mut self, _: &mut Cx<'_, Self>, _: RequestId, _: &Caller, _: Request) {}
    fn reply(&mut self, _: &mut Cx<'_, Self>, _: Then, _: Result<Answer, CallError>) { }
    fn verdict(&mut self, _: &mut Cx<'_, Self>, _: Then, _: Verdict) { }
    fn timer(&mut self, _: &mut Cx<'_, Self>, _: Timer) { }
    fn notice(&mut self, _: &mut Cx<'_, Self>, _: &Notice) {}
    fn restore(&mut self, _: Now, _: Row) -> Result<(), RestoreError> { Ok(()) }
    fn export(&self, _: &mut Vec<rooms::Row>) {}
    fn gauges(&self, _: &mut dyn FnMut(&'static str, u64)) {}
}
