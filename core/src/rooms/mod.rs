//! The API families. Each is a folder, a *room*; rooms meet only in the commons.
//!
//! To add a family: a folder here, a line in the registry below, and its snapshots. Routing asks each
//! room, the store sees rows, the network sees requests; nothing else names a family.

pub mod bans;
pub mod chainweb_mempool;
pub mod chainweb_peers;
pub mod cluster;
pub mod grin;
pub mod wattswarm;

use bytes::Bytes;

use crate::calls::Charge;
use crate::commons::{self, Notice};
use crate::config::Config;
use crate::cx::{Cx, Shared};
use crate::event::NodeEvent;
use crate::http::{Head, Outgoing, Reply, Routed, Site};
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::node::RestoreError;
use crate::rng::{Seed, Stream};
use crate::rows::{Record, RowError};
use crate::time::Now;
use crate::verify::Verdict;

/// One API family: its state, and what it does about each thing that can happen.
///
/// A handler changes state, writes the row of what it changed, and answers or asks, all through
/// [`Cx`]. It cannot fail: what strangers send wrong becomes an answer.
pub trait Room: Sized {
    /// The room's place in the gate.
    const SCOPE: Scope;
    /// What can be asked.
    type Request: Into<Request>;
    /// What can be answered.
    type Response: Into<Response>;
    /// What to do once a call is answered or a check is done.
    type Then: Into<Then>;
    /// What is durable.
    type Row: Into<Row>;
    /// Why to wake up.
    type Timer: Into<Timer> + Copy;

    /// The room of a node that has nothing yet.
    fn new(config: &Config, rng: &mut Stream) -> Self;
    /// The first moment of a run, with everything restored.
    fn start(&mut self, cx: &mut Cx<'_, Self>);
    /// Someone asks. The request must be answered exactly once, here or later.
    fn request(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        from: &Caller,
        request: Self::Request,
    );
    /// A call of ours ended.
    fn reply(&mut self, cx: &mut Cx<'_, Self>, then: Self::Then, result: Result<Answer, CallError>);
    /// A check of ours ended.
    fn verdict(&mut self, cx: &mut Cx<'_, Self>, then: Self::Then, verdict: Verdict);
    /// A deadline of ours has come.
    fn timer(&mut self, cx: &mut Cx<'_, Self>, timer: Self::Timer);
    /// The commons have changed.
    fn notice(&mut self, cx: &mut Cx<'_, Self>, notice: &Notice);
    /// Takes back a row that was durable.
    ///
    /// # Errors
    /// [`RestoreError`] if the row contradicts the settings or the other rows.
    fn restore(&mut self, now: Now, row: Self::Row) -> Result<(), RestoreError>;
    /// Gives all durable state as rows.
    fn export(&self, rows: &mut Vec<Row>);
    /// Tells the sizes of the room's tables, by metric name.
    fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64));
}

macro_rules! rooms {
    ($($module:ident: $name:ident),+ $(,)?) => {
        /// Where a row or an answer belongs: a room, or what rooms share.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Scope {
            /// What rooms share.
            Commons,
            $(#[doc = concat!("The room `", stringify!($module), "`.")] $name,)+
        }

        impl Scope {
            /// How many scopes there are.
            pub const COUNT: usize = 1 + [$(stringify!($name)),+].len();
        }

        /// A question: one that came to us, or one that we send.
        #[derive(Clone, Debug, PartialEq, Hash)]
        pub enum Request {
            $(#[doc = concat!("To the room `", stringify!($module), "`.")] $name($module::Request),)+
        }

        /// An answer to a [`Request`].
        #[derive(Clone, Debug, PartialEq, Hash)]
        pub enum Response {
            /// An answer of which only the status is known: its body was not asked for, or is not
            /// one that we understand.
            Opaque(u16),
            /// The node as a whole refuses.
            Refused(Refused),
            $(#[doc = concat!("From the room `", stringify!($module), "`.")] $name($module::Response),)+
        }

        /// A continuation as data: what to do with the result of a call or a check.
        #[derive(Clone, Debug)]
        pub enum Then {
            $(#[doc = concat!("Of the room `", stringify!($module), "`.")] $name($module::Then),)+
        }

        /// Why a room wakes up.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Timer {
            $(#[doc = concat!("Of the room `", stringify!($module), "`.")] $name($module::Timer),)+
        }

        /// A durable key with its value or its absence.
        #[derive(Clone, Debug, PartialEq, Hash)]
        pub enum Row {
            /// Of what rooms share.
            Commons(commons::Row),
            $(#[doc = concat!("Of the room `", stringify!($module), "`.")] $name($module::Row),)+
        }

        /// Worth counting, logging or asserting on.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event {
            /// Of the node as a whole.
            Node(NodeEvent),
            $(#[doc = concat!("Of the room `", stringify!($module), "`.")] $name($module::Event),)+
        }

        impl Event {
            /// The name under which the event is counted.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    Self::Node(event) => event.name(),
                    $(Self::$name(event) => event.name(),)+
                }
            }

            /// Every name that an event can have.
            pub fn names() -> impl Iterator<Item = &'static str> {
                NodeEvent::NAMES.iter()$(.chain($module::Event::NAMES))+.copied()
            }
        }

        impl core::fmt::Display for Event {
            /// The event as a person reads it.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    Self::Node(event) => event.fmt(f),
                    $(Self::$name(event) => event.fmt(f),)+
                }
            }
        }

        impl From<commons::Row> for Row {
            fn from(row: commons::Row) -> Self {
                Self::Commons(row)
            }
        }

        impl From<NodeEvent> for Event {
            fn from(event: NodeEvent) -> Self {
                Self::Node(event)
            }
        }

        $(
            impl From<$module::Request> for Request {
                fn from(request: $module::Request) -> Self {
                    Self::$name(request)
                }
            }

            impl From<$module::Response> for Response {
                fn from(response: $module::Response) -> Self {
                    Self::$name(response)
                }
            }

            impl From<$module::Then> for Then {
                fn from(then: $module::Then) -> Self {
                    Self::$name(then)
                }
            }

            impl From<$module::Timer> for Timer {
                fn from(timer: $module::Timer) -> Self {
                    Self::$name(timer)
                }
            }

            impl From<$module::Row> for Row {
                fn from(row: $module::Row) -> Self {
                    Self::$name(row)
                }
            }

            impl From<$module::Event> for Event {
                fn from(event: $module::Event) -> Self {
                    Self::$name(event)
                }
            }
        )+

        impl Row {
            /// Where the row belongs.
            #[must_use]
            pub const fn scope(&self) -> Scope {
                match self {
                    Self::Commons(_) => Scope::Commons,
                    $(Self::$name(_) => Scope::$name,)+
                }
            }
        }

        impl Record for Row {
            fn key(&self) -> Vec<u8> {
                match self {
                    Self::Commons(row) => row.key(),
                    $(Self::$name(row) => row.key(),)+
                }
            }

            fn value(&self) -> Option<Vec<u8>> {
                match self {
                    Self::Commons(row) => row.value(),
                    $(Self::$name(row) => row.value(),)+
                }
            }

            fn deletes(&self) -> bool {
                match self {
                    Self::Commons(row) => row.deletes(),
                    $(Self::$name(row) => row.deletes(),)+
                }
            }

            fn lazy(&self) -> bool {
                match self {
                    Self::Commons(row) => row.lazy(),
                    $(Self::$name(row) => row.lazy(),)+
                }
            }

            fn decode(key: &[u8], value: &[u8]) -> Result<Self, RowError> {
                let table = key.first().copied().unwrap_or(0);
                if commons::Row::TABLES.contains(&table) {
                    return commons::Row::decode(key, value).map(Self::Commons);
                }
                $(if $module::Row::TABLES.contains(&table) {
                    return $module::Row::decode(key, value).map(Self::$name);
                })+
                Err(RowError::UnknownTable { table })
            }
        }

        impl Request {
            /// The room that answers.
            #[must_use]
            pub const fn scope(&self) -> Scope {
                match self {
                    $(Self::$name(_) => Scope::$name,)+
                }
            }

            /// The room that answers, as a word for traces and counters.
            #[must_use]
            pub const fn family(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($module),)+
                }
            }

            /// What is asked, as a word for traces and counters.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(request) => request.name(),)+
                }
            }

            /// What a stock node counts the request as; `None` if it does not count it at all.
            #[must_use]
            pub fn charge(&self) -> Option<Charge> {
                match self {
                    $(Self::$name(request) => request.charge(),)+
                }
            }

            /// How much memory the request keeps for itself alone, roughly.
            pub(crate) fn byte_size(&self) -> usize {
                match self {
                    $(Self::$name(request) => request.byte_size(),)+
                }
            }

            /// The request as HTTP, without a host.
            #[must_use]
            pub fn encode(&self, site: &Site) -> Outgoing {
                match self {
                    $(Self::$name(request) => $module::http::encode_request(site, request),)+
                }
            }

            /// What `status` and `body` answer to this request.
            #[must_use]
            pub fn decode_response(&self, status: u16, body: &Bytes) -> Response {
                match self {
                    $(Self::$name(request) => $module::http::decode_response(request, status, body)
                        .map_or(Response::Opaque(status), Response::from),)+
                }
            }
        }

        impl Response {
            /// The status under which [`Self::encode`] sends the answer, without encoding it.
            #[must_use]
            pub const fn status(&self) -> u16 {
                match self {
                    Self::Opaque(status) => *status,
                    Self::Refused(refused) => refused.status(),
                    $(Self::$name(response) => response.status(),)+
                }
            }

            /// How much memory the answer keeps for itself alone, roughly.
            pub(crate) fn byte_size(&self) -> usize {
                match self {
                    Self::Opaque(_) | Self::Refused(_) => 0,
                    $(Self::$name(response) => response.byte_size(),)+
                }
            }

            /// The answer as HTTP, without the headers that depend on who asked.
            #[must_use]
            pub fn encode(&self) -> Reply {
                match self {
                    Self::Opaque(status) => Reply::empty(*status),
                    Self::Refused(refused) => refused.encode(),
                    $(Self::$name(response) => $module::http::encode(response),)+
                }
            }
        }

        /// What a path leads to, with everything that could be read before the body.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Route {
            $(#[doc = concat!("To the room `", stringify!($module), "`.")] $name($module::http::Route),)+
        }

        impl Route {
            /// Asks each room whether `head` is its own.
            pub(crate) fn find(site: &Site, head: &Head<'_>) -> Option<Result<Routed<Self>, Reply>> {
                $(if let Some(found) = $module::http::route(site, head) {
                    return Some(found.map(|routed| routed.map(Self::$name)));
                })+
                None
            }

            /// How many rooms claim `head`; more than one would be a fault of ours.
            #[must_use]
            pub fn claims(site: &Site, head: &Head<'_>) -> usize {
                [$($module::http::route(site, head).is_some()),+].into_iter().filter(|claim| *claim).count()
            }

            /// The answer to a body longer than the route reads. `declared` is its `Content-Length`,
            /// if there was one.
            #[must_use]
            pub fn too_large(&self, declared: Option<u64>) -> Reply {
                match self {
                    $(Self::$name(_) => $module::http::too_large(declared),)+
                }
            }

            /// The request that the route and `body` make.
            ///
            /// # Errors
            /// The answer to a body that is not what the route expects.
            pub fn decode(self, site: &Site, body: Bytes) -> Result<Request, Reply> {
                match self {
                    $(Self::$name(route) => $module::http::decode(site, route, body).map(Request::$name),)+
                }
            }
        }

        /// All rooms of one node, each with its own stream of draws.
        #[derive(Clone, Debug)]
        pub(crate) struct Rooms {
            $(pub(crate) $module: ($module::$name, Stream),)+
        }

        impl Rooms {
            pub(crate) fn new(config: &Config, seed: &Seed) -> Self {
                Self {
                    $($module: {
                        let mut stream = seed.stream(stringify!($module));
                        ($module::$name::new(config, &mut stream), stream)
                    },)+
                }
            }

            pub(crate) fn start(&mut self, now: Now, shared: &mut Shared) {
                $({
                    let (room, rng) = &mut self.$module;
                    room.start(&mut Cx { now, shared, rng, room: core::marker::PhantomData });
                })+
            }

            pub(crate) fn request(
                &mut self, now: Now, shared: &mut Shared, id: RequestId, from: &Caller, request: Request,
            ) {
                match request {
                    $(Request::$name(request) => {
                        let (room, rng) = &mut self.$module;
                        let cx = &mut Cx { now, shared, rng, room: core::marker::PhantomData };
                        room.request(cx, id, from, request);
                    })+
                }
            }

            pub(crate) fn reply(
                &mut self, now: Now, shared: &mut Shared, then: Then, result: Result<Answer, CallError>,
            ) {
                match then {
                    $(Then::$name(then) => {
                        let (room, rng) = &mut self.$module;
                        let cx = &mut Cx { now, shared, rng, room: core::marker::PhantomData };
                        room.reply(cx, then, result);
                    })+
                }
            }

            pub(crate) fn verdict(
                &mut self, now: Now, shared: &mut Shared, then: Then, verdict: Verdict,
            ) {
                match then {
                    $(Then::$name(then) => {
                        let (room, rng) = &mut self.$module;
                        let cx = &mut Cx { now, shared, rng, room: core::marker::PhantomData };
                        room.verdict(cx, then, verdict);
                    })+
                }
            }

            pub(crate) fn timer(&mut self, now: Now, shared: &mut Shared, timer: Timer) {
                match timer {
                    $(Timer::$name(timer) => {
                        let (room, rng) = &mut self.$module;
                        let cx = &mut Cx { now, shared, rng, room: core::marker::PhantomData };
                        room.timer(cx, timer);
                    })+
                }
            }

            pub(crate) fn notice(&mut self, now: Now, shared: &mut Shared, notice: &Notice) {
                $({
                    let (room, rng) = &mut self.$module;
                    room.notice(&mut Cx { now, shared, rng, room: core::marker::PhantomData }, notice);
                })+
            }

            /// Takes back a row of a room; the commons' own rows are the node's business.
            pub(crate) fn restore(&mut self, now: Now, row: Row) -> Result<(), RestoreError> {
                match row {
                    Row::Commons(_) => Ok(()),
                    $(Row::$name(row) => self.$module.0.restore(now, row),)+
                }
            }

            pub(crate) fn export(&self, rows: &mut Vec<Row>) {
                $(self.$module.0.export(rows);)+
            }

            pub(crate) fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64)) {
                $(self.$module.0.gauges(gauge);)+
            }
        }
    };
}

rooms! {
    bans: Bans,
    chainweb_mempool: ChainwebMempool,
    chainweb_peers: ChainwebPeers,
    cluster: Cluster,
    grin: Grin,
    wattswarm: Wattswarm,
}

/// Why the node as a whole refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The caller is banned.
    Banned,
    /// Too much is under way.
    Busy,
    /// The node is about to stop.
    Draining,
}

impl Refused {
    const fn status(self) -> u16 {
        match self {
            Self::Banned => 403,
            Self::Busy | Self::Draining => 503,
        }
    }

    fn encode(self) -> Reply {
        match self {
            Self::Banned => Reply::text(403, "Banned"),
            Self::Busy => Reply::text(503, "Too many requests are under way; try again"),
            Self::Draining => Reply::text(503, "The node is shutting down"),
        }
    }
}
