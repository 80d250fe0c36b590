//! The orders for the stand-in's next answers: `PUT /local/graph`.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::body::{self, Field, Refused};

/// Maximum number of messages of one order.
const MOST: usize = 1000;
/// The longest delay of an answer.
const SLOWEST: Duration = Duration::from_mins(1);

/// The orders that stand.
#[derive(Debug, Default)]
pub(super) struct Orders {
    fates: VecDeque<Fate>,
    /// The delay of each answer.
    pub slowness: Duration,
    /// True if the statuses of accepted messages follow.
    pub statuses: bool,
}

/// The ordered fate of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    /// Refused with this error code.
    Refused(u32),
    /// Accepted, but the connection ends without an answer.
    AnswerLost,
    /// Answered by a gateway with an HTML page and this HTTP status.
    Page(u16),
}

/// The body of `PUT /local/graph`. A missing field leaves its order as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    fail: Option<Codes>,
    gateway: Option<Statuses>,
    slow_ms: Option<u64>,
    /// The number of answers to lose.
    pub lose_answers: Option<usize>,
    /// True to have statuses follow.
    pub statuses: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "is an error code, or a list of them: 131056 or [131056, 2]")]
enum Codes {
    One(u32),
    Each(Vec<u32>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "is an HTTP status, or a list of them: 502 or [502, 504]")]
enum Statuses {
    One(u16),
    Each(Vec<u16>),
}

/// The orders that stand, in the fields of [`Changes`].
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct State {
    /// The codes that are still to come.
    fail: Vec<u32>,
    /// The pages that are still to come.
    gateway: Vec<u16>,
    slow_ms: u128,
    /// The answers that are still to be lost.
    lose_answers: usize,
    statuses: bool,
}

impl Orders {
    /// Takes the fate of the next message. None if none was ordered.
    pub fn next(&mut self) -> Option<Fate> {
        self.fates.pop_front()
    }

    /// Orders the fates of later messages, one for each.
    pub fn add(&mut self, fates: impl IntoIterator<Item = Fate>) {
        self.fates.extend(fates);
    }

    /// Takes back every refusal that is still to come.
    pub fn forget_refusals(&mut self) {
        self.fates.retain(|fate| !matches!(fate, Fate::Refused(_)));
    }

    /// Takes back every page that is still to come.
    pub fn forget_pages(&mut self) {
        self.fates.retain(|fate| !matches!(fate, Fate::Page(_)));
    }

    /// Takes back every loss that is still to come.
    pub fn forget_losses(&mut self) {
        self.fates.retain(|fate| *fate != Fate::AnswerLost);
    }

    /// The orders that stand, for the answer.
    pub fn state(&self) -> State {
        let (mut fail, mut gateway, mut lose_answers) = (Vec::new(), Vec::new(), 0);
        for fate in &self.fates {
            match *fate {
                Fate::Refused(code) => fail.push(code),
                Fate::Page(status) => gateway.push(status),
                Fate::AnswerLost => lose_answers += 1,
            }
        }
        State { fail, gateway, slow_ms: self.slowness.as_millis(), lose_answers, statuses: self.statuses }
    }
}

impl Changes {
    /// Parses a body.
    ///
    /// # Errors
    /// A field is unknown or does not fit.
    pub fn read(body: &str) -> Result<Self, Refused> {
        let changes: Self = body::read(body)?;
        if changes.codes().is_some_and(|codes| codes.len() > MOST) {
            return Err(Refused::new(Field("fail"), "is too long: give at most 1000 codes"));
        }
        if changes.pages().is_some_and(|statuses| statuses.len() > MOST) {
            return Err(Refused::new(Field("gateway"), "is too long: give at most 1000 statuses"));
        }
        if changes.pages().is_some_and(|statuses| statuses.iter().any(|status| !(400..600).contains(status))) {
            return Err(Refused::new(Field("gateway"), "has no HTTP status of an error: give 400 to 599"));
        }
        if changes.lose_answers.is_some_and(|count| count > MOST) {
            return Err(Refused::new(Field("lose_answers"), "is too large: give at most 1000"));
        }
        if changes.slowness().is_some_and(|slowness| slowness > SLOWEST) {
            return Err(Refused::new(Field("slow_ms"), "is too large: give at most 60000"));
        }
        Ok(changes)
    }

    /// The error codes for the next messages. None if they don't change.
    pub fn codes(&self) -> Option<&[u32]> {
        self.fail.as_ref().map(|codes| match codes {
            Codes::One(code) => std::slice::from_ref(code),
            Codes::Each(codes) => codes,
        })
    }

    /// The HTTP statuses of a gateway's pages for the next messages. None if they don't change.
    pub fn pages(&self) -> Option<&[u16]> {
        self.gateway.as_ref().map(|statuses| match statuses {
            Statuses::One(status) => std::slice::from_ref(status),
            Statuses::Each(statuses) => statuses,
        })
    }

    /// The delay of answers. None if it doesn't change.
    pub fn slowness(&self) -> Option<Duration> {
        self.slow_ms.map(Duration::from_millis)
    }
}
