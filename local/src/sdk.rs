//! The functions' SDK clients, for the endpoints of this process.

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedHttpClient, SharedInterceptor};
use aws_smithy_http_client::Builder;
use consent::{aws, limits};

/// The configuration for the endpoints of this process.
pub(crate) async fn local() -> SdkConfig {
    let loader = aws::loader(limits::CALL).region(Region::from_static(crate::REGION));
    loader.http_client(plain_http()).credentials_provider(any_credentials()).load().await
}

/// Credentials for endpoints that don't check them.
pub(crate) fn any_credentials() -> Credentials {
    Credentials::new("local", "local", None, None, "local")
}

/// An HTTP client without TLS, which needs no certificates.
pub(crate) fn plain_http() -> SharedHttpClient {
    Builder::new().build_http()
}

/// The same client without time limits, for setting up the table.
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

/// The client of the table's stream, at an endpoint or, without one, at that of AWS.
pub(crate) fn streams(config: &SdkConfig, endpoint: Option<&str>) -> aws_sdk_dynamodbstreams::Client {
    let mut builder = aws_sdk_dynamodbstreams::config::Builder::from(config);
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    aws_sdk_dynamodbstreams::Client::from_conf(builder.build())
}

/// The client of S3. The bucket is the first segment of the path, since host names of buckets don't resolve to this machine.
pub(crate) fn objects(config: &SdkConfig, endpoint: &str) -> aws_sdk_s3::Client {
    let builder = aws_sdk_s3::config::Builder::from(config).endpoint_url(endpoint).force_path_style(true);
    aws_sdk_s3::Client::from_conf(
        builder
            .timeout_config(aws::timeouts(limits::CAMPAIGN_CALL))
            .retry_config(aws::retries(limits::CAMPAIGN_CALL))
            .build(),
    )
}

/// The same client of the table with the time limits of campaigns.
pub(crate) fn for_campaigns(dynamodb: &aws_sdk_dynamodb::Client) -> aws_sdk_dynamodb::Client {
    let builder = dynamodb.config().to_builder().timeout_config(aws::timeouts(limits::CAMPAIGN_CALL));
    aws_sdk_dynamodb::Client::from_conf(builder.retry_config(aws::retries(limits::CAMPAIGN_CALL)).build())
}

pub(crate) fn secrets_manager(config: &SdkConfig, endpoint: &str) -> aws_sdk_secretsmanager::Client {
    let builder = aws_sdk_secretsmanager::config::Builder::from(config).endpoint_url(endpoint);
    aws_sdk_secretsmanager::Client::from_conf(builder.build())
}
