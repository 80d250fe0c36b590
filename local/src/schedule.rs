//! Stands in for the scheduler of AWS: invokes the functions with a schedule in the template.

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;
use uuid::Uuid;

use crate::invoke::EventFunctions;
use crate::template::Schedule;
use consent::clock::Clock;

/// The scheduler's event for a schedule without an input of its own.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ScheduledEvent {
    version: &'static str,
    id: String,
    detail_type: &'static str,
    source: &'static str,
    account: &'static str,
    time: String,
    region: &'static str,
    resources: [String; 1],
    detail: &'static str,
}

/// Invokes the function at each tick of its schedule, and never returns.
pub(crate) async fn run(schedule: Schedule, functions: EventFunctions, clock: Clock) {
    let mut ticks = tokio::time::interval_at(Instant::now() + schedule.every, schedule.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let event = event(&schedule, &clock);
        if let Some(Err(failed)) = functions.invoke(&schedule.function, event).await {
            warn!(function = schedule.function, error_type = failed.error_type, "scheduled run failed");
        }
    }
}

/// The event of one run.
pub(crate) fn event(schedule: &Schedule, clock: &Clock) -> Box<RawValue> {
    let written = schedule.input.clone().unwrap_or_else(|| {
        let event = ScheduledEvent {
            version: "0",
            id: Uuid::now_v7().to_string(),
            detail_type: "Scheduled Event",
            source: "aws.scheduler",
            account: crate::ACCOUNT,
            time: clock.now().to_string(),
            region: crate::REGION,
            resources: [format!(
                "arn:aws:scheduler:{}:{}:schedule/default/{}",
                crate::REGION,
                crate::ACCOUNT,
                schedule.function
            )],
            detail: "{}",
        };
        serde_json::to_string(&event).expect("texts are JSON")
    });
    RawValue::from_string(written).expect("the template's input was checked when it was read")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;

    fn schedule(input: Option<&str>) -> Schedule {
        let every = Duration::from_mins(1);
        Schedule { function: "confirmation".to_owned(), every, input: input.map(str::to_owned) }
    }

    #[test]
    fn the_input_is_the_template_s_or_the_scheduler_s_own() {
        let clock = Clock::system();
        assert_eq!(event(&schedule(Some(r#"{"sweep": true}"#)), &clock).get(), r#"{"sweep": true}"#);
        let own: Value = serde_json::from_str(event(&schedule(None), &clock).get()).unwrap();
        assert_eq!(own["source"], "aws.scheduler");
        assert_eq!(own["detail-type"], "Scheduled Event");
    }

    #[tokio::test(start_paused = true)]
    async fn it_runs_once_a_period() {
        let (runs, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let functions = EventFunctions::default().with("confirmation", move |_| {
            let runs = runs.clone();
            async move { runs.send(()).map_err(|error| lambda_runtime::Error::from(error.to_string())) }
        });
        let begun = Instant::now();
        let running = tokio::spawn(run(schedule(None), functions, Clock::system()));
        for minute in 1..=3 {
            seen.recv().await.unwrap();
            assert_eq!(begun.elapsed().as_secs(), 60 * minute);
        }
        running.abort();
    }
}
