//! Starts the settings as a Lambda function.

use settings::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    consent::log::init();
    lambda_http::run(settings::router(App::from_env().await?)).await
}
