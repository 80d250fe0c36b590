//! Starts the webhook as a Lambda function.

use consent::clock::Clock;
use consent::secrets::Secrets;
use consent::store::Store;
use consent::{aws, limits, log};
use webhook::WebhookApp;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    log::init();
    let config = aws::config(limits::CALL).await;
    let store = Store::new(aws::dynamodb(&config), std::env::var("TABLE_NAME")?);
    let secrets = Secrets::new(aws::secrets_manager(&config), std::env::var("META_SECRET_ID")?.parse()?);
    let ignored_channels = webhook::ignored_channels(&std::env::var("IGNORED_CHANNELS").unwrap_or_default())?;
    let clock = Clock::system();
    lambda_http::run(webhook::router(WebhookApp { store, secrets, ignored_channels, clock })).await
}
