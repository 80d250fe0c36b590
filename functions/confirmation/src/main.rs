//! Starts the sending of confirmations as a Lambda function.

use confirmation::{ConfirmationSender, Graph, GraphAddress};
use consent::clock::Clock;
use consent::secrets::Secrets;
use consent::store::Store;
use consent::{aws, limits, log};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log::init();
    let config = aws::config(limits::CALL).await;
    let store = Store::new(aws::dynamodb(&config), std::env::var("TABLE_NAME")?);
    let secrets = Secrets::new(aws::secrets_manager(&config), std::env::var("META_SECRET_ID")?.parse()?);
    let graph =
        Graph::new(GraphAddress { url: &std::env::var("GRAPH_URL")?, version: &std::env::var("GRAPH_VERSION")? });
    let confirmation = ConfirmationSender::new(store, secrets, graph, Clock::system());
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| confirmation.handle(event.payload).await)).await
}
