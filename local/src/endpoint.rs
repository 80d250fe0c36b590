//! A DynamoDB outside this process: AWS, or another server with its API, such as DynamoDB Local.

use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::region::RegionProviderChain;
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{ProvideCredentials, SharedCredentialsProvider};
use consent::aws;
use consent::limits::{self, Call};
use url::{Host, Url};

use crate::sdk;

/// Time limits for a call of an endpoint other than AWS. Such servers may start slowly, and pause to collect garbage.
const PATIENT: Call = Call { attempt: Duration::from_secs(30), all: Duration::from_mins(1), attempts: 4 };

/// The URL of a DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

/// The error of an invalid URL of a DynamoDB.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEndpoint {
    /// The text is no URL, or has a part that an endpoint can't have.
    #[error("`{url}` is not the URL of a DynamoDB: {problem}; write it as http://HOST:PORT or https://HOST")]
    Url {
        /// The text.
        url: String,
        /// The fault.
        problem: &'static str,
    },
    /// The URL has TLS, and this machine has no root certificates.
    #[error(
        "no certificate authority is known that could vouch for {url}: install the system's, or name a file with \
         certificates in SSL_CERT_FILE{}", problem.as_deref().map(|problem| format!(" ({problem})")).unwrap_or_default()
    )]
    NobodyToTrust {
        /// The URL.
        url: String,
        /// The error of the search for root certificates.
        problem: Option<String>,
    },
}

impl Endpoint {
    /// Parses a URL.
    ///
    /// # Errors
    /// The text is no URL, has another scheme than `http` or `https`, or has a user or a query.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |problem| InvalidEndpoint::Url { url: text.to_owned(), problem };
        let url = Url::parse(text).map_err(|_| invalid("it cannot be read"))?;
        match url.scheme() {
            "http" | "https" if url.query().is_none() && url.username().is_empty() => Ok(Self(url)),
            "http" | "https" => Err(invalid("it has a user or a query")),
            _ => Err(invalid("it is for another protocol")),
        }
    }

    /// Returns true for an endpoint of AWS.
    pub fn is_aws(&self) -> bool {
        self.aws_region().is_some()
    }

    /// The region in the name of an AWS host such as `dynamodb.eu-west-1.amazonaws.com`. Requests have to be signed for it.
    fn aws_region(&self) -> Option<&str> {
        let Some(Host::Domain(host)) = self.0.host() else { return None };
        let rest = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
        rest.strip_prefix("dynamodb.").or_else(|| rest.strip_prefix("dynamodb-fips."))
    }

    /// The configuration of clients of this endpoint.
    ///
    /// Clients of AWS have the credentials that the SDK finds, and the time limits of the functions. Other endpoints don't
    /// check credentials, but some keep a table for each access key: their clients have the credentials of the environment's
    /// variables, or made-up ones, and longer time limits.
    ///
    /// # Errors
    /// The URL has TLS, and this machine has no root certificates.
    pub async fn config(&self) -> Result<SdkConfig, InvalidEndpoint> {
        if self.0.scheme() == "https" {
            self.check_trust()?;
        }
        let call = if self.is_aws() { limits::CALL } else { PATIENT };
        let mut loader = aws::loader(call);
        if self.0.scheme() == "http" {
            loader = loader.http_client(sdk::plain_http());
        }
        let region = match self.aws_region() {
            Some(region) => RegionProviderChain::first_try(Region::new(region.to_owned())),
            None => RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(crate::REGION),
        };
        loader = loader.region(region);
        if !self.is_aws() {
            loader = loader.credentials_provider(credentials_of_environment().await);
        }
        Ok(loader.load().await)
    }

    /// Makes sure that there are root certificates. The SDK's client panics without any.
    fn check_trust(&self) -> Result<(), InvalidEndpoint> {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let problem = found.errors.first().map(ToString::to_string);
            return Err(InvalidEndpoint::NobodyToTrust { url: self.0.to_string(), problem });
        }
        Ok(())
    }
}

async fn credentials_of_environment() -> SharedCredentialsProvider {
    match EnvironmentVariableCredentialsProvider::new().provide_credentials().await {
        Ok(credentials) => SharedCredentialsProvider::new(credentials),
        Err(_) => SharedCredentialsProvider::new(sdk::any_credentials()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_to_aws_are_signed_for_the_region_of_the_host() {
        for (url, region) in [
            ("https://dynamodb.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("https://dynamodb-fips.us-east-1.amazonaws.com/", Some("us-east-1")),
            ("https://dynamodb.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("http://127.0.0.1:8000", None),
            ("https://dynamodb.example.com", None),
            ("https://localhost.localstack.cloud:4566", None),
        ] {
            assert_eq!(Endpoint::parse(url).unwrap().aws_region(), region, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_an_endpoint_is_refused() {
        for url in [
            "http://",
            "http://[::1",
            "http://127.0.0.1:99999",
            "ftp://127.0.0.1",
            "http://user@host",
            "http://host/?x",
        ] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
        assert!(Endpoint::parse("http://[::1]:8000/path/").is_ok());
    }
}
