//! Starts the whole system on this machine, and stops it at Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use local::engine::Storage;
use local::{DEMO_CHANNEL, DEMO_TENANT, DynamoDb, Options, System};
use tracing_subscriber::EnvFilter;

/// The whole opt-in/out system on this machine
#[derive(Parser)]
#[command(name = "local")]
struct Flags {
    /// Address of the API; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000")]
    api: String,
    /// Address of the embedded DynamoDB, or the URL (http:// or https://) of another DynamoDB to use in its place
    #[arg(long, value_name = "HOST:PORT or URL", default_value = "127.0.0.1:8000")]
    dynamodb: String,
    /// Address of the embedded S3; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9001")]
    s3: String,
    /// Keep the embedded DynamoDB's data in this file, and the objects of the embedded S3 in a folder beside it
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Origins of browser dashboards that may call the API, separated by commas: the template's `DashboardOrigins`
    #[arg(long, value_name = "ORIGINS", default_value = "")]
    dashboard_origins: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    // The engine warns of every refused condition, which is how the table decides races; S3 writes down every request.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,dynoxide=error,s3s=error,s3s_fs=error"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let system = match System::start(options(Flags::parse())).await {
        Ok(system) => system,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("api        {}", system.api_url());
    println!("dynamodb   {}", system.dynamodb_url());
    println!("s3         {}", system.objects().endpoint());
    println!("tenant     {DEMO_TENANT}   channel {DEMO_CHANNEL}");
    println!("ready");
    if let Err(error) = asked_to_stop().await {
        eprintln!("error: cannot wait for Ctrl-C: {error}");
        return ExitCode::FAILURE;
    }
    system.stop().await;
    ExitCode::SUCCESS
}

fn options(flags: Flags) -> Options {
    let elsewhere = ["http://", "https://"].iter().any(|scheme| flags.dynamodb.starts_with(scheme));
    let dynamodb = match (elsewhere, flags.data) {
        (true, None) => DynamoDb::At(flags.dynamodb),
        (true, Some(_)) => {
            let message = "--data is for the embedded DynamoDB: leave it out when --dynamodb names another one";
            clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n")).exit()
        }
        (false, data) => {
            let storage = data.map_or(Storage::Temporary, Storage::File);
            DynamoDb::Embedded { address: flags.dynamodb, storage }
        }
    };
    Options {
        api: flags.api,
        dynamodb,
        s3: flags.s3,
        dashboard_origins: flags.dashboard_origins,
        statuses: true,
        ..Options::default()
    }
}

/// Waits for Ctrl-C, or for the signal SIGTERM of a process manager.
async fn asked_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
