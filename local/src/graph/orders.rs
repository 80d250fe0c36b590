//! What the stand-in is told to do with messages: `PUT /local/graph`.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::body::{self, Refused};

/// The most messages that one order is for.
const MOST: usize = 1000;
const SLOWEST: Duration = Duration::from_mins(1);

/// Everything it is told to do.
#[derive(Debug, Default)]
pub(super) struct Orders {
    fates: VecDeque<Fate>,
    /// How long an answer takes.
    pub slowness: Duration,
    /// Whether statuses of accepted messages follow.
    pub statuses: bool,
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Refused(u32),
    AnswerLost,
    /// A gateway answers with a page of its own and this HTTP status.
    Page(u16),
}

/// Changes to them, as they come.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    fail: Option<Codes>,
    gateway: Option<Statuses>,
    slow_ms: Option<u64>,
    /// How many answers to lose, if that changes.
    pub lose_answers: Option<usize>,
    /// Whether statuses are to follow, if that changes.
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

/// How they stand, in the words of their changes.
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
    /// What becomes of the next message, if that was ordered.
    pub fn next(&mut self) -> Option<Fate> {
        self.fates.pop_front()
    }

    /// Orders the fates of later messages, one each.
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

    /// How they stand.
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
    /// Reads them.
    ///
    /// # Errors
    /// A field is unknown, or does not fit.
    pub fn read(body: &str) -> Result<Self, Refused> {
        let changes: Self = body::read(body)?;
        if changes.codes().is_some_and(|codes| codes.len() > MOST) {
            return Err(Refused::new("fail", "is too long: give at most 1000 codes"));
        }
        if changes.pages().is_some_and(|statuses| statuses.len() > MOST) {
            return Err(Refused::new("gateway", "is too long: give at most 1000 statuses"));
        }
        if changes.pages().is_some_and(|statuses| statuses.iter().any(|status| !(400..600).contains(status))) {
            return Err(Refused::new("gateway", "has no HTTP status of an error: give 400 to 599"));
        }
        if changes.lose_answers.is_some_and(|count| count > MOST) {
            return Err(Refused::new("lose_answers", "is too large: give at most 1000"));
        }
        if changes.slowness().is_some_and(|slowness| slowness > SLOWEST) {
            return Err(Refused::new("slow_ms", "is too large: give at most 60000"));
        }
        Ok(changes)
    }

    /// The codes to refuse the next messages with, if that changes.
    pub fn codes(&self) -> Option<&[u32]> {
        self.fail.as_ref().map(|codes| match codes {
            Codes::One(code) => std::slice::from_ref(code),
            Codes::Each(codes) => codes,
        })
    }

    /// The statuses of the pages that a gateway answers the next messages with, if that changes.
    pub fn pages(&self) -> Option<&[u16]> {
        self.gateway.as_ref().map(|statuses| match statuses {
            Statuses::One(status) => std::slice::from_ref(status),
            Statuses::Each(statuses) => statuses,
        })
    }

    /// How long answers are to take, if that changes.
    pub fn slowness(&self) -> Option<Duration> {
        self.slow_ms.map(Duration::from_millis)
    }
}
