//! JSON lines for CloudWatch. What is logged never holds a phone number, a name or the words of a person.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The target of lines that are counted: the template makes metrics of their field `metric`, and alarms of some of those.
pub const METRICS: &str = "metrics";

/// Libraries that would log the events and requests themselves, with all that customers wrote in them.
const TALKATIVE: [&str; 7] = ["aws", "axum", "h2", "hyper", "lambda", "reqwest", "rustls"];

/// Starts logging, at the level that `RUST_LOG` says. Lines that are counted are logged at any level, and the inside of
/// libraries at none.
pub fn init() {
    let level = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let fixed = TALKATIVE.map(|library| format!("{library}=info")).into_iter().chain([format!("{METRICS}=info")]);
    let filter = fixed.filter_map(|directive| directive.parse().ok()).fold(level, EnvFilter::add_directive);
    tracing_subscriber::fmt().json().with_env_filter(filter).with_current_span(true).with_span_list(false).init();
}
