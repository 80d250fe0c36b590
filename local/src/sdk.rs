//! SDK clients as the functions have them, but pointed at the endpoints of this process.

use aws_config::meta::region::RegionProviderChain;
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedInterceptor};
use consent::{aws, limits};

/// Any credentials will do for endpoints that check none.
pub(crate) async fn local() -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    let loader = aws::loader(limits::CALL).region(Region::from_static(crate::REGION));
    loader.credentials_provider(credentials).load().await
}

/// For an endpoint outside this process: the environment's credentials. Over plain HTTP nobody but a stand-in listens, so
/// there any will do where the environment has none.
pub(crate) async fn outside(endpoint: &str) -> SdkConfig {
    if endpoint.starts_with("http://") && std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
        return local().await;
    }
    let region = RegionProviderChain::default_provider().or_else(crate::REGION);
    aws::loader(limits::CALL).region(region).load().await
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
    if !endpoint.trim_end_matches('/').ends_with(".amazonaws.com") {
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
