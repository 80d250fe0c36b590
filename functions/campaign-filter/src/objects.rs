//! Objects in S3. They are read in ranges, several at a time, and written in parts (multipart upload), so that a key never
//! has half an object: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

/// The length of a range that is read, in bytes.
const BLOCK: u64 = 2 * 1024 * 1024;

/// The number of ranges that are requested before they are needed.
const AHEAD: usize = 4;

/// The size of a part that is written, in bytes: the smallest that S3 allows. An object may have 10,000 parts, so 52 GB:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const PART: usize = 5 * 1024 * 1024;

/// The number of parts that are sent at the same time.
const PARTS_AT_ONCE: usize = 2;

/// The number of times that a range is requested, if its bytes break off.
const ATTEMPTS: u32 = 5;

/// The S3 buckets of campaigns.
#[derive(Clone, Debug)]
pub struct Objects {
    client: Client,
}

/// The bucket and key of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The name of the bucket.
    pub bucket: String,
    /// The key within the bucket.
    pub key: String,
}

/// One version of an object. Reading fails if the object has another version by then.
#[derive(Clone, Debug)]
pub struct Object {
    location: Location,
    /// The entity tag of the version.
    pub tag: String,
    /// The length in bytes.
    pub length: u64,
}

/// An object that was written.
#[derive(Clone, Debug)]
pub struct WrittenObject {
    /// The bucket and key.
    pub location: Location,
    /// The entity tag of the version that was written.
    pub e_tag: String,
}

/// An object could not be read or written. The texts hold no key, as keys may name people.
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
    /// S3 refuses, and always will. The text is its error code.
    #[error("S3 refuses it for good: {0}")]
    Refused(String),
    /// The object was replaced since reading began.
    #[error("the object was replaced while it was read")]
    Replaced,
    /// S3 failed. A later try can succeed.
    #[error("S3 is unavailable: {0}")]
    Unavailable(String),
}

impl Objects {
    /// The objects that this client can reach.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The present version of an object.
    ///
    /// # Errors
    /// The object does not exist, or S3 does not answer.
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

    /// The bytes of an object in this range, in order, in blocks.
    pub fn blocks(
        &self,
        object: &Object,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, ObjectError>> + Send + use<> {
        let (objects, object) = (self.clone(), object.clone());
        let mut next = range.start;
        let ranges = std::iter::from_fn(move || {
            let start = next;
            next = (start + BLOCK).min(range.end);
            (start < range.end).then_some(start..next)
        });
        let block = move |range| {
            let (objects, object) = (objects.clone(), object.clone());
            async move { objects.block(&object, range).await }
        };
        stream::iter(ranges).map(block).buffered(AHEAD)
    }

    /// An object that is empty so far, to be written to this location.
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

    /// The error of a `HeadObject` in more detail. Its answer has no body, and so does not tell a missing bucket from a
    /// missing object. `GetObject` does.
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

    /// One block. Bytes that break off are requested again from its beginning.
    async fn block(&self, object: &Object, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let mut attempt = 1;
        loop {
            match self.block_once(object, range.clone()).await {
                Err(ObjectError::Unavailable(_)) if attempt < ATTEMPTS => pause(attempt).await,
                done => return done,
            }
            attempt += 1;
        }
    }

    async fn block_once(&self, object: &Object, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let Location { bucket, key } = &object.location;
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let get = self.client.get_object().bucket(bucket).key(key).range(header).if_match(&object.tag);
        let answer = get.send().await.map_err(|error| refused(&error))?;
        let bytes = answer.body.collect().await.map_err(|_| ObjectError::Unavailable("broken off".to_owned()))?;
        let bytes = bytes.into_bytes();
        if bytes.len() as u64 == range.end - range.start {
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
    /// The id of the multipart upload. None while one part holds all bytes.
    id: Option<String>,
    buffer: Vec<u8>,
    under_way: VecDeque<JoinHandle<Result<CompletedPart, ObjectError>>>,
    done: Vec<CompletedPart>,
}

impl Upload {
    /// Appends bytes to the object, and empties `bytes`.
    ///
    /// # Errors
    /// S3 did not take an earlier part.
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

    /// Puts the object under its key.
    ///
    /// # Errors
    /// S3 did not take it. The key keeps the object it had. Call [`Self::abort`] then.
    pub async fn finish(&mut self) -> Result<WrittenObject, ObjectError> {
        let e_tag = self.complete().await?;
        Ok(WrittenObject { location: self.location.clone(), e_tag })
    }

    /// Removes the parts of an object that was not finished.
    pub async fn abort(&mut self) {
        self.under_way.drain(..).for_each(|part| part.abort());
        if let Some(id) = self.id.take() {
            let Location { bucket, key } = &self.location;
            let abort = self.client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
            if let Err(error) = abort.send().await {
                // A lifecycle rule of the bucket removes unfinished uploads later.
                tracing::warn!(error = %refused(&error), "an upload could not be thrown away");
            }
        }
    }

    /// Sends the last part, and returns the object's tag.
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

/// The tag of an answer. S3 gives one to every object.
fn tagged(tag: Option<String>) -> Result<String, ObjectError> {
    tag.ok_or_else(|| ObjectError::Unavailable("an object without a tag".to_owned()))
}

/// Waits before the next attempt: 50 to 200 ms after the first, and twice as long after each further one (exponential
/// backoff with jitter).
async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(25..=100) << attempt)).await;
}

/// The error codes with which every further try of the same call ends as well:
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

/// The error of a failed call: its code alone, since messages can quote keys.
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
