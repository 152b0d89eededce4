//! How AWS is reached, and what it answers, in few words.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use tokio::sync::OnceCell;

use crate::telemetry::error_chain;

static CONFIG: OnceCell<SdkConfig> = OnceCell::const_new();

/// Settings by the usual AWS environment variables, profiles and `AWS_ENDPOINT_URL`; read once, so that all services share
/// credentials and connections.
pub async fn aws_settings() -> &'static SdkConfig {
    let load = || aws_config::defaults(BehaviorVersion::latest()).http_client(https_client()).load();
    CONFIG.get_or_init(load).await
}

/// What sends requests: HTTPS by rustls with ring, certificates of the system, and the proxy of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
pub fn https_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    })
}

/// The region of these settings, of a profile's too; none before they were read, and where there is none.
pub fn aws_region() -> Option<String> {
    CONFIG.get()?.region().map(ToString::to_string)
}

/// The message of the service, or, where no answer came, why.
pub fn aws_error_message<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error_chain(error),
    }
}
