//! Starts the contacts as a Lambda function.

use contacts::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    consent::log::init();
    lambda_http::run(contacts::router(App::from_env().await?)).await
}
