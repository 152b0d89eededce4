//! The worker as a Lambda function: chunk tasks in, rows in tables.

use std::time::SystemTime;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::{LogFormat, Settings, error_chain, init_logs};
use worker::Handler;

#[tokio::main]
async fn main() -> Result<(), Error> {
    init_logs(LogFormat::Json, tracing::Level::INFO);
    let start = async { Ok::<_, Error>(Handler::from_settings(Settings::from_env()?).await) };
    let handler = start.await.inspect_err(|error| tracing::error!(reason = %error, "the worker cannot start"))?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| invoke(&handler, event))).await
}

async fn invoke(handler: &Handler, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let function = &event.context.env_config.function_name;
    let answer = handler.handle(&event.payload, function, left).await;
    answer.map_err(|error| Diagnostic {
        error_type: "worker::HandlerError".to_owned(),
        error_message: error_chain(&error),
    })
}
