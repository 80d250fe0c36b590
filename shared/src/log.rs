//! JSON lines for CloudWatch. What is logged never holds a phone number, a name or the words of a person.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

mod metric;

pub use metric::Metric;
#[doc(hidden)]
pub use tracing;

/// The target of lines that are counted: the template makes metrics of their field `metric`, and alarms of some of those.
/// Such lines are written by [`count!`](crate::count) alone.
pub const METRICS: &str = "metrics";

/// Logs a case of a [`Metric`], so that it is counted: `count!(level, metric, fields…, "message")`, with a level, fields
/// and a message as the macros of `tracing` take them.
///
/// ```
/// use consent::log::Metric;
///
/// let reason = "no sender";
/// consent::count!(warn, Metric::BadUpdate, reason, "update skipped: it cannot be read");
/// ```
#[macro_export]
macro_rules! count {
    ($level:ident, $metric:expr, $($line:tt)+) => {{
        let metric: $crate::log::Metric = $metric;
        $crate::log::tracing::$level!(target: $crate::log::METRICS, metric = metric.name(), $($line)+)
    }};
}

/// Libraries that would log events and requests, with all that customers wrote in them, at levels below `info`.
const TALKATIVE: [&str; 7] = ["aws", "axum", "h2", "hyper", "lambda", "reqwest", "rustls"];

/// Starts logging, at the level that `RUST_LOG` says. Lines that are counted are logged at any level; what passes through
/// libraries is not, whatever it says.
pub fn init() {
    let level = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let level = format!("{METRICS}=info")
        .parse()
        .map_or_else(|_| EnvFilter::new("info"), |counted| level.add_directive(counted));
    let lines = tracing_subscriber::fmt::layer().json().with_current_span(true).with_span_list(false);
    tracing_subscriber::registry().with(lines.with_filter(level.and(filter_fn(is_discreet)))).init();
}

fn is_discreet(line: &Metadata) -> bool {
    *line.level() <= Level::INFO || !TALKATIVE.iter().any(|library| line.target().starts_with(library))
}
