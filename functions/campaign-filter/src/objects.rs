//! Objects in S3: read in ranges, several at a time, and written in parts, so that under its name an object is whole or
//! not there at all.

use std::collections::VecDeque;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

/// Bytes that are read at a time.
const BLOCK: u64 = 2 * 1024 * 1024;

/// Blocks that are asked for before they are needed.
const AHEAD: usize = 4;

/// Bytes that are written at a time: as few as S3 allows. It takes ten thousand parts, so an object may have 52 GB.
const PART: usize = 5 * 1024 * 1024;

/// Parts that are on their way at a time.
const PARTS_AT_ONCE: usize = 2;

/// How often a block is asked for whose bytes break off.
const ATTEMPTS: u32 = 5;

/// The S3 buckets of campaigns.
#[derive(Clone, Debug)]
pub struct Objects {
    client: Client,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// An object as it was when it was looked at. It is read as that or not at all.
#[derive(Clone, Debug)]
pub struct Object {
    location: Location,
    /// Its entity tag.
    pub tag: String,
    /// Its bytes.
    pub length: u64,
}

/// An object that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Where it is.
    pub location: Location,
    /// The entity tag of this version of it.
    pub e_tag: String,
}

/// An object could not be read or written. The texts hold no key: it may name people.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The bucket does not exist.
    #[error("there is no such bucket")]
    NoBucket,
    /// The bucket has no object under this key.
    #[error("there is no such object")]
    Missing,
    /// The function's role does not allow it, or the bucket is somebody else's.
    #[error("the filter may not do this")]
    Forbidden,
    /// S3 will never do it: the error code says why.
    #[error("S3 refuses it for good: {0}")]
    Refused(String),
    /// It is another one now than when reading began.
    #[error("the object was replaced while it was read")]
    Replaced,
    /// S3 did not do it.
    #[error("S3 is unavailable: {0}")]
    Unavailable(String),
}

impl Objects {
    /// Objects that this client reaches.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Looks at an object.
    ///
    /// # Errors
    /// It is not there, or can't be looked at.
    pub async fn object(&self, location: &Location) -> Result<Object, ObjectError> {
        let Location { bucket, key } = location;
        let head = match Box::pin(self.client.head_object().bucket(bucket).key(key).send()).await {
            Ok(head) => head,
            Err(error) => return Err(Box::pin(self.explained(location, refused(&error))).await),
        };
        let length = head.content_length().and_then(|length| length.try_into().ok());
        let length = length.ok_or_else(|| ObjectError::Unavailable("no length".to_owned()))?;
        Ok(Object { location: location.clone(), tag: tagged(head.e_tag)?, length })
    }

    /// The bytes of an object from `first` up to `end`, in order, in blocks.
    pub fn blocks(
        &self,
        object: &Object,
        first: u64,
        end: u64,
    ) -> impl Stream<Item = Result<Bytes, ObjectError>> + Send + use<> {
        let (objects, object) = (self.clone(), object.clone());
        let mut starts = first;
        let ranges = std::iter::from_fn(move || {
            let start = starts;
            starts = (start + BLOCK).min(end);
            (start < end).then_some((start, starts))
        });
        let block = move |(start, end)| {
            let (objects, object) = (objects.clone(), object.clone());
            async move { objects.block(&object, start, end).await }
        };
        stream::iter(ranges).map(block).buffered(AHEAD)
    }

    /// Begins to write an object.
    #[must_use]
    pub fn upload(&self, location: Location) -> Upload {
        Upload {
            client: self.client.clone(),
            location,
            id: None,
            buffer: Vec::new(),
            under_way: VecDeque::new(),
            done: Vec::new(),
        }
    }

    /// An error of a look at an object, told more exactly: the answer to a look has no body, and so does not say whether the
    /// bucket is missing or the object alone.
    async fn explained(&self, location: &Location, error: ObjectError) -> ObjectError {
        if !matches!(error, ObjectError::Missing) {
            return error;
        }
        let get = self.client.get_object().bucket(&location.bucket).key(&location.key).range("bytes=0-0");
        match get.send().await {
            Ok(_) => ObjectError::Unavailable("the object is new".to_owned()),
            Err(error) => refused(&error),
        }
    }

    /// One block. Bytes that break off are asked for again from the beginning.
    async fn block(&self, object: &Object, start: u64, end: u64) -> Result<Bytes, ObjectError> {
        let mut attempt = 1;
        loop {
            match self.block_once(object, start, end).await {
                Err(ObjectError::Unavailable(_)) if attempt < ATTEMPTS => pause(attempt).await,
                done => return done,
            }
            attempt += 1;
        }
    }

    async fn block_once(&self, object: &Object, start: u64, end: u64) -> Result<Bytes, ObjectError> {
        let Location { bucket, key } = &object.location;
        let range = format!("bytes={start}-{}", end - 1);
        let get = self.client.get_object().bucket(bucket).key(key).range(range).if_match(&object.tag);
        let answer = get.send().await.map_err(|error| refused(&error))?;
        let bytes = answer.body.collect().await.map_err(|_| ObjectError::Unavailable("broken off".to_owned()))?;
        let bytes = bytes.into_bytes();
        if bytes.len() as u64 == end - start {
            Ok(bytes)
        } else {
            Err(ObjectError::Unavailable("too short".to_owned()))
        }
    }
}

/// An object that is being written.
#[derive(Debug)]
pub struct Upload {
    client: Client,
    location: Location,
    /// S3's name for it, once it is too large for one part.
    id: Option<String>,
    buffer: Vec<u8>,
    under_way: VecDeque<JoinHandle<Result<CompletedPart, ObjectError>>>,
    done: Vec<CompletedPart>,
}

impl Upload {
    /// Takes bytes to write, and leaves none.
    ///
    /// # Errors
    /// They can't be written.
    pub async fn write(&mut self, bytes: &mut Vec<u8>) -> Result<(), ObjectError> {
        let mut rest = &bytes[..];
        while self.buffer.len() + rest.len() >= PART {
            let (now, later) = rest.split_at(PART - self.buffer.len());
            self.buffer.extend(now);
            rest = later;
            let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART));
            self.send(part.into()).await?;
        }
        self.buffer.extend(rest);
        bytes.clear();
        Ok(())
    }

    /// Puts the object under its name.
    ///
    /// # Errors
    /// It can't be written. Then what was under the name still is, and what was written is to be thrown away.
    pub async fn finish(&mut self) -> Result<Written, ObjectError> {
        let e_tag = self.complete().await?;
        Ok(Written { location: self.location.clone(), e_tag })
    }

    /// Throws away what was written and is not under its name.
    pub async fn abort(&mut self) {
        self.under_way.drain(..).for_each(|part| part.abort());
        if let Some(id) = self.id.take() {
            let Location { bucket, key } = &self.location;
            let abort = self.client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
            if let Err(error) = abort.send().await {
                // What is left goes by the bucket's rule for uploads that nobody ended.
                tracing::warn!(error = %refused(&error), "an upload could not be thrown away");
            }
        }
    }

    /// Answers the object's tag.
    async fn complete(&mut self) -> Result<String, ObjectError> {
        let rest = std::mem::take(&mut self.buffer);
        let Location { bucket, key } = self.location.clone();
        if self.id.is_none() {
            let put = self.client.put_object().bucket(bucket).key(key).body(ByteStream::from(rest));
            return tagged(put.send().await.map_err(|error| refused(&error))?.e_tag);
        }
        if !rest.is_empty() {
            self.send(rest.into()).await?;
        }
        while let Some(part) = self.under_way.pop_front() {
            self.done.push(joined(part).await?);
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.done))).build();
        let complete = self.client.complete_multipart_upload().bucket(bucket).key(key).set_upload_id(self.id.clone());
        let completed = complete.multipart_upload(parts).send().await.map_err(|error| refused(&error))?;
        self.id = None;
        tagged(completed.e_tag)
    }

    async fn send(&mut self, part: Bytes) -> Result<(), ObjectError> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => self.begin().await?,
        };
        while self.under_way.len() >= PARTS_AT_ONCE {
            if let Some(part) = self.under_way.pop_front() {
                self.done.push(joined(part).await?);
            }
        }
        let number = i32::try_from(self.done.len() + self.under_way.len() + 1).unwrap_or(i32::MAX);
        let Location { bucket, key } = self.location.clone();
        let upload = self.client.upload_part().bucket(bucket).key(key).upload_id(id).part_number(number);
        // Bytes in memory are sent again by the SDK itself where that helps.
        let sending = upload.body(ByteStream::from(part)).send();
        self.under_way.push_back(tokio::spawn(async move {
            let sent = sending.await.map_err(|error| refused(&error))?;
            Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
        }));
        Ok(())
    }

    async fn begin(&mut self) -> Result<String, ObjectError> {
        let Location { bucket, key } = &self.location;
        let begun = self.client.create_multipart_upload().bucket(bucket).key(key).send().await;
        let begun = begun.map_err(|error| refused(&error))?;
        let id = begun.upload_id.ok_or_else(|| ObjectError::Unavailable("an upload without a name".to_owned()))?;
        Ok(self.id.insert(id).clone())
    }
}

async fn joined(part: JoinHandle<Result<CompletedPart, ObjectError>>) -> Result<CompletedPart, ObjectError> {
    part.await.unwrap_or_else(|_| Err(ObjectError::Unavailable("a part was given up".to_owned())))
}

/// The tag that S3 gives every object.
fn tagged(tag: Option<String>) -> Result<String, ObjectError> {
    tag.ok_or_else(|| ObjectError::Unavailable("an object without a tag".to_owned()))
}

/// Waits before the next attempt, by chance a little less or more.
async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(25..=100) << attempt)).await;
}

/// Codes of errors that the next try of the same call ends with as well.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const FINAL: [&str; 11] = [
    // The bucket is in another region.
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "InvalidArgument",
    "InvalidBucketName",
    // The object is in an archive, and has to be restored first.
    "InvalidObjectState",
    "InvalidRequest",
    "InvalidURI",
    "KeyTooLongError",
    "MethodNotAllowed",
    "AllAccessDisabled",
];

/// What a failed call says: its code alone, since messages can quote keys.
fn refused<E: ProvideErrorMetadata>(error: &SdkError<E>) -> ObjectError {
    if matches!(error, SdkError::ConstructionFailure(_)) {
        return ObjectError::Refused("the request could not be built".to_owned());
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (status, error.code()) {
        (_, Some("NoSuchBucket")) => ObjectError::NoBucket,
        // An expired token and an upload that has ended say the same by their status, and are worth another try.
        (Some(404), None | Some("NoSuchKey" | "NotFound")) => ObjectError::Missing,
        (Some(403), None | Some("AccessDenied" | "Forbidden")) => ObjectError::Forbidden,
        (Some(412), _) => ObjectError::Replaced,
        (Some(301), None) => ObjectError::Refused("PermanentRedirect".to_owned()),
        (_, Some(code)) if FINAL.contains(&code) => ObjectError::Refused(code.to_owned()),
        (_, Some(code)) => ObjectError::Unavailable(code.to_owned()),
        (Some(status), None) => ObjectError::Unavailable(format!("status {status}")),
        (None, None) => ObjectError::Unavailable("no answer".to_owned()),
    }
}
