//! The embedded DynamoDB: an engine with an HTTP port, which can be stopped and started again with its data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynoxide::{Database, server};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tracing::warn;

/// The storage of the engine's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// Memory. The fastest, but a stream makes every write slower than the one before, so it is for tables without a stream.
    Memory,
    /// A file that is deleted when the engine stops.
    #[default]
    Temporary,
    /// A file that stays.
    File(PathBuf),
}

/// The error of an engine that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The data can't be used.
    #[error("cannot open the data{}: {problem}", file(.path.as_deref()))]
    Open {
        /// The file.
        path: Option<PathBuf>,
        /// The error of the engine or the file system.
        problem: String,
    },
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The error of the socket.
        source: std::io::Error,
    },
}

/// Time limit for the requests under way when the engine stops.
const PATIENCE: Duration = Duration::from_secs(5);
/// Retention of a stream's records, as in DynamoDB.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
const STREAM_LIFE: Duration = Duration::from_hours(24);
/// The interval at which expired items are removed.
const SWEEP: Duration = Duration::from_mins(1);

/// An engine that is running, or stopped and ready to be started again. It ends when it is dropped.
pub struct Engine {
    database: Database,
    address: SocketAddr,
    serving: Mutex<Option<Serving>>,
    // Removed when the engine is dropped.
    _temporary: Option<TempDir>,
}

struct Serving {
    stop: oneshot::Sender<()>,
    task: Task,
}

/// A task that is aborted when it is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Engine {
    /// Starts an engine that listens on `host:port`; port 0 picks a free one.
    ///
    /// # Errors
    /// The data can't be opened, or the address can't be listened on.
    pub async fn start(address: &str, storage: &Storage) -> Result<Self, EngineError> {
        let (database, temporary) = open(storage)?;
        let listener = listen(address).await?;
        let address =
            listener.local_addr().map_err(|source| EngineError::Listen { address: address.to_owned(), source })?;
        let serving = Mutex::new(Some(serve(listener, database.clone())));
        Ok(Self { database, address, serving, _temporary: temporary })
    }

    /// The engine's URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The engine's database, to write many items at once without HTTP.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Stops listening and waits for the requests under way. The data is kept.
    pub async fn stop(&self) {
        if let Some(Serving { stop, mut task }) = self.serving.lock().await.take() {
            let _ = stop.send(());
            if tokio::time::timeout(PATIENCE, &mut task.0).await.is_err() {
                warn!("request to the embedded DynamoDB did not end in time");
            }
        }
    }

    /// Starts a stopped engine again on the same port with the same data. Does nothing for a running one.
    ///
    /// # Errors
    /// Another program listens on the port.
    pub async fn restart(&self) -> Result<(), EngineError> {
        let mut serving = self.serving.lock().await;
        if serving.is_none() {
            let listener = listen(&self.address.to_string()).await?;
            *serving = Some(serve(listener, self.database.clone()));
        }
        Ok(())
    }

    /// Removes expired items every [`SWEEP`], and never returns. In the cloud, DynamoDB does this by itself.
    pub(crate) fn expiry(&self) -> impl Future<Output = ()> + Send + 'static {
        let database = self.database.clone();
        async move {
            let mut ticks = tokio::time::interval(SWEEP);
            loop {
                ticks.tick().await;
                let database = database.clone();
                let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
                if let Ok(Err(error)) = swept {
                    warn!(%error, "expired items were not removed");
                }
            }
        }
    }
}

fn open(storage: &Storage) -> Result<(Database, Option<TempDir>), EngineError> {
    let failed = |path: Option<&Path>, problem: &dyn std::fmt::Display| EngineError::Open {
        path: path.map(Path::to_owned),
        problem: problem.to_string(),
    };
    match storage {
        Storage::Memory => Database::memory().map(|database| (database, None)).map_err(|error| failed(None, &error)),
        Storage::File(path) => {
            let database = open_file(path).map_err(|error| failed(Some(path), &error))?;
            Ok((database, None))
        }
        Storage::Temporary => {
            let folder = TempDir::with_prefix("consent-").map_err(|error| failed(None, &error))?;
            let path = folder.path().join("dynamodb.sqlite");
            let database = open_file(&path).map_err(|error| failed(Some(&path), &error))?;
            // The file is deleted in the end, so no write has to wait for the disk.
            database.enable_bulk_loading().map_err(|error| failed(Some(&path), &error))?;
            Ok((database, Some(folder)))
        }
    }
}

fn open_file(path: &Path) -> Result<Database, Box<dyn std::error::Error>> {
    let name = path.to_str().ok_or("the path is not Unicode")?;
    let database = Database::new(name)?;
    tend_stream(path)?;
    Ok(database)
}

/// Adds an index on the stream's records, and deletes those older than [`STREAM_LIFE`]. The engine has no such index, so each
/// write would take longer than the one before, and it never deletes a record.
fn tend_stream(path: &Path) -> Result<(), rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "CREATE INDEX IF NOT EXISTS local_stream_position
         ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
    )?;
    let horizon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(STREAM_LIFE);
    let horizon = i64::try_from(horizon.as_secs()).unwrap_or(i64::MAX);
    connection.execute("DELETE FROM _stream_records WHERE created_at < ?1", [horizon])?;
    Ok(())
}

async fn listen(address: &str) -> Result<TcpListener, EngineError> {
    TcpListener::bind(address).await.map_err(|source| EngineError::Listen { address: address.to_owned(), source })
}

fn serve(listener: TcpListener, database: Database) -> Serving {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        if let Err(error) = server::serve_with_shutdown(listener, database, stopped).await {
            warn!(error, "the embedded DynamoDB ended");
        }
    });
    Serving { stop, task: Task(task) }
}

fn file(path: Option<&Path>) -> String {
    path.map(|path| format!(" in {}", path.display())).unwrap_or_default()
}
