//! Starts the campaign filter as a Lambda function.

use campaign_filter::CampaignFilter;
use consent::store::Store;
use consent::{aws, limits, log};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log::init();
    let config = aws::config(limits::CAMPAIGN_CALL).await;
    let filter = CampaignFilter::new(Store::new(aws::dynamodb(&config), std::env::var("TABLE_NAME")?));
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| filter.handle(event.payload).await)).await
}
