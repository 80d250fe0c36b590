//! The embedded S3: objects in a folder of files, behind an HTTP port.
//!
//! This S3 accepts any credentials, or none, as the embedded DynamoDB does. The crate `s3s` checks signatures, so each
//! request is signed anew before it reaches that crate.

mod signature;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tower::ServiceExt;
use tracing::{error, warn};

/// The error of an embedded S3 that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// The folder can't be used.
    #[error("cannot keep objects{}: {problem}", place(.folder.as_deref()))]
    Folder {
        /// The folder.
        folder: Option<PathBuf>,
        /// The error of the file system.
        problem: String,
    },
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The error of the socket.
        source: io::Error,
    },
}

/// Time limit for the requests under way when the server stops.
const PATIENCE: Duration = Duration::from_secs(5);
/// The checksum headers of S3's answers.
const CHECKSUMS: [HeaderName; 5] = [
    HeaderName::from_static("x-amz-checksum-crc32"),
    HeaderName::from_static("x-amz-checksum-crc32c"),
    HeaderName::from_static("x-amz-checksum-crc64nvme"),
    HeaderName::from_static("x-amz-checksum-sha1"),
    HeaderName::from_static("x-amz-checksum-sha256"),
];

/// The running S3. It stops when it is dropped.
pub struct Objects {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinSet<()>,
    root: PathBuf,
    // Removed when it is dropped.
    _temporary: Option<TempDir>,
}

impl Objects {
    /// Starts an S3 on `host:port` (port 0 picks a free one) that has the bucket. Its objects are kept in the folder; without
    /// a folder they are deleted when it stops.
    ///
    /// # Errors
    /// The folder can't be used, or the address can't be listened on.
    pub async fn start(address: &str, folder: Option<&Path>, bucket: &str) -> Result<Self, ObjectsError> {
        let failed = |problem: &dyn std::fmt::Display| ObjectsError::Folder {
            folder: folder.map(Path::to_owned),
            problem: problem.to_string(),
        };
        let temporary = match folder {
            Some(_) => None,
            None => Some(TempDir::with_prefix("consent-s3-").map_err(|error| failed(&error))?),
        };
        let root = folder.or(temporary.as_ref().map(TempDir::path)).unwrap_or(Path::new(".")).to_owned();
        tokio::fs::create_dir_all(root.join(bucket)).await.map_err(|error| failed(&error))?;
        let files = FileSystem::new(&root).map_err(|error| failed(&format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(signature::KEY, signature::SECRET));

        let listen = |source| ObjectsError::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let state = Served { service: service.build(), root: root.clone().into() };
        let router = Router::new().fallback(answer).with_state(state);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let server = axum::serve(listener, router).with_graceful_shutdown(async move {
                let _ = stopped.await;
            });
            if let Err(error) = server.await {
                error!(%error, "the embedded S3 ended");
            }
        });
        Ok(Self { address, stop, serving, root, _temporary: temporary })
    }

    /// The URL of the S3. The first segment of a path is the bucket.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The folder with the objects: a folder for each bucket, a file for each object.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Stops listening and waits for the requests under way. The folder given at the start is kept.
    pub async fn stop(self) {
        let Self { stop, mut serving, .. } = self;
        let _ = stop.send(());
        let ended = async { while serving.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            warn!("request to the embedded S3 did not end in time");
        }
    }
}

/// The state of the request handler.
#[derive(Clone)]
struct Served {
    service: S3Service,
    root: Arc<Path>,
}

impl Served {
    /// Returns true if the request's bucket does not exist and the request does not create it. `s3s-fs` itself would create a
    /// missing bucket when it writes an object.
    fn lacks_bucket(&self, request: &Request) -> bool {
        let (bucket, key) = match request.uri().path().trim_start_matches('/').split_once('/') {
            Some((bucket, key)) => (bucket, key),
            None => (request.uri().path().trim_start_matches('/'), ""),
        };
        let makes_it =
            *request.method() == Method::PUT && key.is_empty() && request.uri().query().is_none_or(str::is_empty);
        !bucket.is_empty() && !makes_it && !self.root.join(bucket).is_dir()
    }
}

async fn answer(State(served): State<Served>, mut request: Request) -> Response {
    if served.lacks_bucket(&request) {
        return refusal(StatusCode::NOT_FOUND, Code("NoSuchBucket"), "The specified bucket does not exist.");
    }
    signature::renew(&mut request);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let wanted = request.headers().get(header::IF_MATCH).filter(|_| reads).cloned();
    match served.service.oneshot(request).await {
        Ok(response) if wanted.is_some_and(|wanted| is_another(&response, &wanted)) => {
            refusal(StatusCode::PRECONDITION_FAILED, Code("PreconditionFailed"), "The object is another one by now.")
        }
        Ok(response) => without_stale_checksums(response.map(Body::new)),
        Err(error) => {
            error!(?error, "the embedded S3 failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// S3's error code, such as `NoSuchBucket`.
struct Code(&'static str);

/// An error in S3's form. The server leaves out the body in answers to `HEAD`.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
fn refusal(status: StatusCode, Code(code): Code, message: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

/// Returns true if the response's entity tag differs from the wanted one. `s3s-fs` checks `If-Match` only when it writes.
fn is_another<B>(response: &axum::http::Response<B>, wanted: &HeaderValue) -> bool {
    let tag = |value: &HeaderValue| value.to_str().unwrap_or_default().trim_matches('"').to_owned();
    let found = response.headers().get(header::ETAG).map(tag);
    found.is_some_and(|found| wanted != "*" && found != tag(wanted))
}

/// Removes the checksums of an object from a multipart upload. `s3s-fs` keeps those of the object that it replaced, and a
/// client would compare them with the new bytes.
fn without_stale_checksums(mut response: Response) -> Response {
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    if tag.is_some_and(|tag| tag.contains('-')) {
        for checksum in &CHECKSUMS {
            response.headers_mut().remove(checksum);
        }
    }
    response
}

fn place(path: Option<&Path>) -> String {
    path.map(|path| format!(" in {}", path.display())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
