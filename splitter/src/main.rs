//! The splitter as a Lambda function: news of dropped objects in, chunks and chunk tasks out.

use std::time::SystemTime;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::metrics::metrics;
use shared::settings::Function;
use shared::{LogFormat, Settings, error_chain, init_logs};
use splitter::{HandlerContext, handle_within};

#[tokio::main]
async fn main() -> Result<(), Error> {
    init_logs(LogFormat::Json, tracing::Level::INFO);
    let context = start().await.inspect_err(|error| tracing::error!(reason = %error, "the splitter cannot start"))?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| invoke(&context, event))).await
}

async fn start() -> Result<HandlerContext, Error> {
    Ok(HandlerContext::from_settings(Settings::from_env()?).await?)
}

/// `CloudWatch` takes metrics from what a function prints. A function has one call at a time.
#[expect(clippy::print_stdout, reason = "logs go to stderr")]
fn print_metrics(context: &HandlerContext, function: &str) {
    if let Some(line) = metrics(Function::Splitter, function, SystemTime::now(), &context.split.progress.take()) {
        println!("{line}");
    }
}

async fn invoke(context: &HandlerContext, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let handled = handle_within(context, event.payload, left).await;
    print_metrics(context, &event.context.env_config.function_name);
    handled.map_err(|error| Diagnostic {
        error_type: "splitter::HandlerError".to_owned(),
        error_message: error_chain(&error),
    })
}
