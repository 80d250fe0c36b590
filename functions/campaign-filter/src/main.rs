//! Starts the campaign filter as a Lambda function.

use std::time::SystemTime;

use campaign_filter::CampaignFilter;
use campaign_filter::objects::Objects;
use consent::store::Store;
use consent::{aws, limits, log};
use lambda_runtime::{Context, LambdaEvent, service_fn};
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log::init();
    let config = aws::config(limits::CAMPAIGN_CALL).await;
    let s3 = aws_sdk_s3::Client::new(&config);
    let store = Store::new(aws::dynamodb(&config), std::env::var("TABLE_NAME")?);
    let filter = CampaignFilter::new(store, Objects::new(s3));
    let handle = async |event: LambdaEvent<_>| filter.handle(event.payload, deadline(&event.context)).await;
    lambda_runtime::run(service_fn(handle)).await
}

/// The time by which the function has to answer, by the clock that it waits by. `None` if the context names a time in the
/// past, as `cargo lambda watch` does.
fn deadline(context: &Context) -> Option<Instant> {
    let left = context.deadline().duration_since(SystemTime::now()).ok()?;
    Some(Instant::now() + left.saturating_sub(limits::CAMPAIGN_RESERVE))
}
