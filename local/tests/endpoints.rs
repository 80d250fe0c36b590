//! The program `local` with another DynamoDB: over HTTP and HTTPS, with and without credentials in the environment, and
//! however slowly the endpoint begins.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use local::TABLE;
use local::engine::{Engine, Storage};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The program starts in seconds; a machine that is busy may take longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// Longer than any call of the functions may take.
const SLOW: Duration = Duration::from_secs(8);

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "example")];

/// The program, running; it is killed when this is dropped.
struct Program {
    api: String,
    _process: Child,
}

impl Program {
    /// Starts the program with this endpoint and nothing but these variables in its environment. What it says on stderr where
    /// it does not get ready.
    async fn start(endpoint: &str, variables: &[(&str, &str)]) -> Result<Self, String> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["--api", "127.0.0.1:0", "--s3", "127.0.0.1:0", "--dynamodb", endpoint])
            .env_clear()
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut stderr = process.stderr.take().unwrap();
        let told = tokio::spawn(async move {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text).await;
            text
        });
        let ready = async {
            let mut api = None;
            while let Some(line) = lines.next_line().await.unwrap() {
                match line.split_whitespace().collect::<Vec<_>>()[..] {
                    ["api", url] => api = url.strip_prefix("http://").map(str::to_owned),
                    ["ready"] => return api,
                    _ => {}
                }
            }
            None
        };
        match timeout(PATIENCE, ready).await.expect("the program gets ready or ends") {
            Some(api) => Ok(Self { api, _process: process }),
            None => Err(told.await.unwrap()),
        }
    }

    /// The answer's status and body.
    async fn ask(&self, request: &str, body: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(&self.api).await.unwrap();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n",
            self.api
        );
        connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap(), answer)
    }

    /// A customer opts out and is told so, which takes the tenant, its channel, transactions and the table's stream.
    async fn opts_out(&self) {
        let (status, answer) = self.ask("POST /local/messages", r#"{"from": "14155550123", "text": "STOP"}"#).await;
        assert_eq!(status, 200, "{answer}");
        let begun = Instant::now();
        while !self.ask("GET /local/outbox", "").await.1.contains("+14155550123") {
            assert!(begun.elapsed() < PATIENCE, "nothing came out of the stream");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn engine() -> Engine {
    Engine::start("127.0.0.1:0", &Storage::Temporary).await.unwrap()
}

/// Stands in front of an engine; `tls` is for its side to the client. No answer comes through before `slow` is over.
async fn in_front(engine: &Engine, tls: Option<TlsAcceptor>, slow: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = engine.endpoint().replace("http://", "");
    let begun = Instant::now();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (tls, behind) = (tls.clone(), behind.clone());
            tokio::spawn(async move {
                let server = TcpStream::connect(behind).await.unwrap();
                let wait = slow.saturating_sub(begun.elapsed());
                match tls {
                    None => relay(client, server, wait).await,
                    Some(tls) => relay(tls.accept(client).await?, server, wait).await,
                }
            });
        }
    });
    port
}

async fn relay(
    client: impl tokio::io::AsyncRead + tokio::io::AsyncWrite,
    mut server: TcpStream,
    wait: Duration,
) -> std::io::Result<()> {
    let (mut asks, mut hears) = tokio::io::split(client);
    let (mut answers, mut takes) = server.split();
    let back = async {
        sleep(wait).await;
        copy(&mut answers, &mut hears).await?;
        hears.shutdown().await
    };
    let there = async {
        copy(&mut asks, &mut takes).await?;
        takes.shutdown().await
    };
    tokio::try_join!(back, there).map(drop)
}

/// A self-signed certificate for this machine: the acceptor for a server, and a file with the certificate for clients.
fn certificate(folder: &TempDir) -> (TlsAcceptor, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let path = folder.path().join("certificate.pem");
    std::fs::write(&path, cert.pem()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), path.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn over_http_credentials_in_the_environment_are_used_and_none_are_needed() {
    for variables in [&[][..], &KEYS[..], &KEYS[..1], &[("AWS_PROFILE", "missing"), ("HOME", "/nonexistent")][..]] {
        let engine = engine().await;
        let program = Program::start(&engine.endpoint(), variables)
            .await
            .unwrap_or_else(|error| panic!("{variables:?}: {error}"));
        program.opts_out().await;
    }
}

#[tokio::test]
async fn over_https_an_endpoint_is_trusted_whose_authority_the_environment_names() {
    let folder = TempDir::new().unwrap();
    let (tls, file) = certificate(&folder);
    for variables in [&[][..], &KEYS[..]] {
        let engine = engine().await;
        let endpoint = format!("https://localhost:{}", in_front(&engine, Some(tls.clone()), Duration::ZERO).await);
        let trusted = [variables, &[("SSL_CERT_FILE", &*file)][..]].concat();
        let program =
            Program::start(&endpoint, &trusted).await.unwrap_or_else(|error| panic!("{variables:?}: {error}"));
        program.opts_out().await;
        let error = Program::start(&endpoint, variables).await.err().unwrap();
        assert!(error.contains("SSL_CERT_FILE") && error.contains(&endpoint) && !error.contains("panicked"), "{error}");
    }
}

#[tokio::test]
async fn however_slowly_an_endpoint_begins_the_table_is_whole_and_the_tenant_is_there() {
    let folder = TempDir::new().unwrap();
    let (tls, file) = certificate(&folder);
    for tls in [None, Some(tls)] {
        let engine = engine().await;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://localhost:{}", in_front(&engine, tls, SLOW).await);
        let program =
            Program::start(&endpoint, &[("SSL_CERT_FILE", &file)]).await.unwrap_or_else(|error| panic!("{error}"));
        program.opts_out().await;
        let request = serde_json::from_value(serde_json::json!({"TableName": TABLE})).unwrap();
        let expiry = engine.database().describe_time_to_live(request).unwrap();
        let expiry = serde_json::to_value(expiry).unwrap();
        assert_eq!(expiry["TimeToLiveDescription"]["AttributeName"], "expires_at", "{expiry}");
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_one_is_refused_with_words() {
    for endpoint in
        ["http://", "https://", "http://[::1", "http://127.0.0.1:99999", "https://127.0.0.1:1", "http://127.0.0.1:1"]
    {
        for variables in [&[][..], &KEYS[..], &[("SSL_CERT_FILE", "/nonexistent")][..]] {
            let error = Program::start(endpoint, variables).await.err().unwrap_or_default();
            assert!(error.contains("error: ") && !error.contains("panicked"), "{endpoint} {variables:?}: {error}");
        }
    }
}
