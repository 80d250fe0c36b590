//! The configuration of AWS clients: one TLS stack, and a limit to each wait.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::limits::{self, Call};

/// The configuration from the environment, the SDK's own variables such as `AWS_ENDPOINT_URL_DYNAMODB` included. No call
/// takes longer than `call` says.
pub async fn config(call: Call) -> SdkConfig {
    loader(call).load().await
}

/// The configuration that [`config`] starts from: everything but the environment.
#[must_use]
pub fn loader(call: Call) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
        .timeout_config(timeouts(call))
        .retry_config(retries(call))
}

/// The time limits of a client.
#[must_use]
pub fn timeouts(call: Call) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(limits::CONNECT)
        .operation_attempt_timeout(call.attempt)
        .operation_timeout(call.all)
        .build()
}

/// The attempts of a client, with pauses by chance.
#[must_use]
pub fn retries(call: Call) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(call.attempts)
        .with_initial_backoff(limits::FIRST_PAUSE)
        .with_max_backoff(limits::LONGEST_PAUSE)
}

/// A client of the table's service.
#[must_use]
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
}

/// A client of the service that keeps the secrets.
#[cfg(feature = "secrets")]
#[must_use]
pub fn secrets_manager(config: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(config)
}
