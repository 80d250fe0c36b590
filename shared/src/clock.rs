//! The clock of the functions, which a test can hold still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::Time;

/// The source of "now": the machine's, or one that only moves when it is told to.
#[derive(Clone, Debug)]
pub struct Clock(ClockSource);

#[derive(Clone, Debug)]
enum ClockSource {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self(ClockSource::System)
    }

    /// A clock that stands at `start`; its clones share one time.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self(ClockSource::Manual(Arc::new(AtomicI64::new(start.millis()))))
    }

    /// The time of this moment.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            ClockSource::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Time::default().plus(since_epoch)
            }
            ClockSource::Manual(millis) => Time::from_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward. The machine's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let ClockSource::Manual(millis) = &self.0 {
            millis.store(self.now().plus(by).millis(), Ordering::SeqCst);
        }
    }
}
