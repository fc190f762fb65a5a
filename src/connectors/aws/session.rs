//! Clients of the AWS services, made from the SDK's ordinary configuration chain.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

/// Longest time to make a connection; a server that is there accepts in milliseconds.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// One configuration, read when it is first needed.
pub(crate) struct Session {
    /// Longest time of one request.
    timeout: Duration,
    config: OnceCell<SdkConfig>,
}

/// What every session has, whatever its surroundings say.
fn loader(timeout: Duration) -> ConfigLoader {
    let tls = Provider::Rustls(CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(timeout.min(CONNECT_MAX))
        .operation_attempt_timeout(timeout)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        // Attempts are the engine's business: each of them is recorded (rule R4).
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
}

impl Session {
    /// A session whose requests take no longer than `timeout` each. Reads nothing yet, and speaks to
    /// nobody.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, config: OnceCell::new() }
    }

    /// What the chain found. Never fails: what is missing in the configuration is told by the first request.
    pub(crate) async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| async { loader(self.timeout).load().await }).await
    }

    /// A session with a server of one's own, whatever the environment says.
    #[cfg(test)]
    pub(crate) async fn at(endpoint: &str, timeout: Duration) -> Self {
        let credentials = aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test");
        let region = aws_sdk_s3::config::Region::new("us-east-1");
        let loader = loader(timeout).endpoint_url(endpoint).region(region);
        let config = loader.credentials_provider(credentials).load().await;
        Self { timeout, config: OnceCell::from(config) }
    }

    /// A client of S3. At an endpoint of one's own, buckets are part of the path, as every server
    /// beside AWS itself expects.
    pub(crate) async fn s3(&self) -> aws_sdk_s3::Client {
        let config = self.config().await;
        let own_endpoint =
            config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let config = aws_sdk_s3::config::Builder::from(config)
            .force_path_style(own_endpoint)
            // How long a transfer may stand still is the reader's business.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// A client of SQS.
    pub(crate) async fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(self.config().await)
    }

    /// A client of EventBridge.
    pub(crate) async fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(self.config().await)
    }

    /// A client of Lambda.
    pub(crate) async fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(self.config().await)
    }

    /// A client of Step Functions.
    pub(crate) async fn sfn(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(self.config().await)
    }

    /// A client of CloudWatch.
    pub(crate) async fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(self.config().await)
    }
}
