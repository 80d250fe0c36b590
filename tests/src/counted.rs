//! Listens to what the functions log to be counted: metrics and alarms are made of those lines.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, Once};

use consent::log::{METRICS, Metric};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};

/// The metrics that were logged on this thread since [`Counted::from_now_on`], until it is dropped. A test and all that
/// it starts have one thread, and other tests have others.
pub struct Counted {
    counts: Counts,
    _listening: DefaultGuard,
}

#[derive(Clone, Default)]
struct Counts(Arc<Mutex<Vec<Line>>>);

/// A line that is counted.
#[derive(Clone, Default)]
struct Line {
    metric: String,
    numbers: Map<String, Value>,
}

/// Makes sure that log lines reach the subscriber of each thread. `tracing` decides only once if a line is wanted, on the
/// first thread that logs it, which may have no subscriber.
pub(crate) fn open() {
    static OPEN: Once = Once::new();
    OPEN.call_once(|| {
        let lines = tracing_subscriber::registry().with(Counts::default().with_filter(metrics()));
        tracing::subscriber::set_global_default(lines).expect("nobody else listens for the whole process");
    });
}

fn metrics() -> Targets {
    Targets::new().with_target(METRICS, LevelFilter::TRACE)
}

impl Counted {
    /// Begins to listen.
    pub fn from_now_on() -> Self {
        let counts = Counts::default();
        let lines = tracing_subscriber::registry().with(counts.clone().with_filter(metrics()));
        Self { counts, _listening: tracing::subscriber::set_default(lines) }
    }

    /// The number of lines of each metric.
    pub fn all(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.counts.0.lock().unwrap().iter() {
            *counts.entry(line.metric.clone()).or_default() += 1;
        }
        counts
    }

    /// The numbers in each line of a metric, as an object a line.
    pub fn numbers(&self, metric: Metric) -> Vec<Value> {
        let lines = self.counts.0.lock().unwrap();
        let lines = lines.iter().filter(|line| line.metric == metric.name());
        lines.map(|line| line.numbers.clone().into()).collect()
    }

    /// The number of lines of a metric.
    pub fn count(&self, metric: Metric) -> usize {
        self.all().get(metric.name()).copied().unwrap_or_default()
    }
}

impl<S: Subscriber> Layer<S> for Counts {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "metric" {
            value.clone_into(&mut self.metric);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.numbers.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
