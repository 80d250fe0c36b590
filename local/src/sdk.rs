//! SDK clients as the functions have them, but pointed at the endpoints of this process.

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedHttpClient, SharedInterceptor};
use aws_smithy_http_client::Builder;
use consent::{aws, limits};

use crate::endpoint::Endpoint;

/// For the endpoints of this process.
pub(crate) async fn local() -> SdkConfig {
    let loader = aws::loader(limits::CALL).region(Region::from_static(crate::REGION));
    loader.http_client(plain_http()).credentials_provider(any_credentials()).load().await
}

/// For endpoints that check none.
pub(crate) fn any_credentials() -> Credentials {
    Credentials::new("local", "local", None, None, "local")
}

/// For endpoints without TLS: it needs nobody's certificates.
pub(crate) fn plain_http() -> SharedHttpClient {
    Builder::new().build_http()
}

/// The same client of the table for setting it up: it waits for each answer as long as that takes.
pub(crate) fn for_setup(dynamodb: &aws_sdk_dynamodb::Client) -> aws_sdk_dynamodb::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(limits::CONNECT)
        .disable_operation_timeout()
        .disable_operation_attempt_timeout()
        .disable_read_timeout()
        .build();
    let builder = dynamodb.config().to_builder().timeout_config(timeouts);
    aws_sdk_dynamodb::Client::from_conf(
        builder.stalled_stream_protection(StalledStreamProtectionConfig::disabled()).build(),
    )
}

pub(crate) fn dynamodb(
    config: &SdkConfig,
    endpoint: &str,
    interceptors: &[SharedInterceptor],
) -> aws_sdk_dynamodb::Client {
    let mut builder = aws_sdk_dynamodb::config::Builder::from(config).endpoint_url(endpoint);
    for interceptor in interceptors {
        builder.push_interceptor(interceptor.clone());
    }
    aws_sdk_dynamodb::Client::from_conf(builder.build())
}

/// Streams are at the same address as the table, but for AWS itself, which has a host for them.
pub(crate) fn streams(config: &SdkConfig, endpoint: &str) -> aws_sdk_dynamodbstreams::Client {
    let mut builder = aws_sdk_dynamodbstreams::config::Builder::from(config);
    if !Endpoint::parse(endpoint).is_ok_and(|endpoint| endpoint.is_aws()) {
        builder = builder.endpoint_url(endpoint);
    }
    aws_sdk_dynamodbstreams::Client::from_conf(builder.build())
}

/// Buckets are the first part of the path: no name leads from a bucket to this machine.
pub(crate) fn objects(config: &SdkConfig, endpoint: &str) -> aws_sdk_s3::Client {
    let builder = aws_sdk_s3::config::Builder::from(config).endpoint_url(endpoint).force_path_style(true);
    aws_sdk_s3::Client::from_conf(
        builder
            .timeout_config(aws::timeouts(limits::CAMPAIGN_CALL))
            .retry_config(aws::retries(limits::CAMPAIGN_CALL))
            .build(),
    )
}

/// The same client of the table, with as long waits as campaigns have.
pub(crate) fn for_campaigns(dynamodb: &aws_sdk_dynamodb::Client) -> aws_sdk_dynamodb::Client {
    let builder = dynamodb.config().to_builder().timeout_config(aws::timeouts(limits::CAMPAIGN_CALL));
    aws_sdk_dynamodb::Client::from_conf(builder.retry_config(aws::retries(limits::CAMPAIGN_CALL)).build())
}

pub(crate) fn secrets_manager(config: &SdkConfig, endpoint: &str) -> aws_sdk_secretsmanager::Client {
    let builder = aws_sdk_secretsmanager::config::Builder::from(config).endpoint_url(endpoint);
    aws_sdk_secretsmanager::Client::from_conf(builder.build())
}
