//! The embedded S3 as the SDK uses it: what campaigns rely on.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_s3::{Client, config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const BUCKET: &str = "campaigns";
/// The least that any part but the last may have.
const PART: usize = 5 * 1024 * 1024;

struct World {
    objects: Objects,
    client: Client,
}

impl World {
    async fn start() -> Self {
        let objects = Objects::start("127.0.0.1:0", None, BUCKET).await.unwrap();
        let config = crate::sdk::local().await;
        let client = crate::sdk::objects(&config, &objects.endpoint());
        Self { objects, client }
    }

    async fn put(&self, key: &str, body: &[u8]) {
        let body = ByteStream::from(body.to_vec());
        self.client.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
    }

    async fn read(&self, key: &str) -> Option<Vec<u8>> {
        match self.client.get_object().bucket(BUCKET).key(key).send().await {
            Ok(object) => Some(object.body.collect().await.unwrap().to_vec()),
            Err(error) if error.code() == Some("NoSuchKey") => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn begin(&self, key: &str) -> String {
        let upload = self.client.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap();
        upload.upload_id.unwrap()
    }

    async fn part(&self, key: &str, upload: &str, number: i32, body: Vec<u8>) -> CompletedPart {
        let part = self.client.upload_part().bucket(BUCKET).key(key).upload_id(upload).part_number(number);
        let part = part.body(body.into()).send().await.unwrap();
        CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build()
    }

    async fn complete(&self, key: &str, upload: &str, parts: Vec<CompletedPart>, only_new: bool) -> Result<(), u16> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let call = self.client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(upload);
        let call = call.multipart_upload(parts).set_if_none_match(only_new.then(|| "*".to_owned()));
        call.send().await.map(|_| ()).map_err(|error| status(&error))
    }

    /// Says something over a connection of its own and hears the answer, or hangs up half-way.
    async fn raw(&self, said: &str, hang_up: bool) -> String {
        let mut stream = TcpStream::connect(self.objects.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        if !hang_up {
            stream.read_to_string(&mut answer).await.unwrap();
        }
        answer
    }

    /// The names of all files, those of unfinished business included.
    fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, files: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), files);
                } else {
                    files.push(entry.file_name().into_string().unwrap());
                }
            }
        }
        let mut files = Vec::new();
        walk(self.objects.folder(), &mut files);
        files
    }
}

fn status<E>(error: &SdkError<E>) -> u16 {
    error.raw_response().unwrap().status().as_u16()
}

/// Bytes of which no two stretches are alike.
fn bytes(length: usize) -> Vec<u8> {
    (0..length.div_ceil(8) as u64).flat_map(|number| (number * 0x9E37_79B9).to_be_bytes()).take(length).collect()
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_put_whole_and_in_ranges() {
    let world = World::start().await;
    let body = bytes(300_000);
    world.put("spring/list one+two.csv", &body).await;
    assert_eq!(world.read("spring/list one+two.csv").await.unwrap(), body);
    for (range, wanted) in
        [("bytes=0-0", &body[..1]), ("bytes=100000-200000", &body[100_000..=200_000]), ("bytes=-7", &body[299_993..])]
    {
        let call = world.client.get_object().bucket(BUCKET).key("spring/list one+two.csv").range(range);
        let object = call.send().await.unwrap();
        assert_eq!(object.content_length, i64::try_from(wanted.len()).ok());
        assert_eq!(object.body.collect().await.unwrap().to_vec(), wanted, "{range}");
    }
    let call = world.client.get_object().bucket(BUCKET).key("spring/list one+two.csv").range("bytes=300000-300001");
    assert_eq!(status(&call.send().await.unwrap_err()), 416);
    assert!(world.read("spring/none.csv").await.is_none());
}

#[tokio::test]
async fn a_part_of_an_object_can_be_asked_of_the_version_that_was_seen() {
    let world = World::start().await;
    world.put("list.csv", b"first").await;
    let seen = world.client.head_object().bucket(BUCKET).key("list.csv").send().await.unwrap();
    assert_eq!(seen.content_length, Some(5));
    let part = || {
        let call = world.client.get_object().bucket(BUCKET).key("list.csv").range("bytes=1-2");
        call.set_if_match(seen.e_tag.clone()).send()
    };
    assert_eq!(part().await.unwrap().body.collect().await.unwrap().to_vec(), b"ir");
    world.put("list.csv", b"second").await;
    assert_eq!(status(&part().await.unwrap_err()), 412);
}

#[tokio::test]
async fn parts_become_an_object_when_they_are_complete() {
    let world = World::start().await;
    let body = bytes(2 * PART + 12_345);
    world.put("list.csv", b"an object that was there before, with its checksum").await;
    let upload = world.begin("list.csv").await;
    let mut parts = Vec::new();
    // Not in order, as clients upload several parts at once.
    for (number, range) in [(2, PART..2 * PART), (3, 2 * PART..body.len()), (1, 0..PART)] {
        parts.push(world.part("list.csv", &upload, number, body[range].to_vec()).await);
    }
    parts.sort_by_key(|part| part.part_number);
    assert!(world.read("list.csv").await.unwrap().starts_with(b"an object"), "not complete yet");
    world.complete("list.csv", &upload, parts, false).await.unwrap();
    assert!(world.read("list.csv").await.unwrap() == body);
}

#[tokio::test]
async fn an_upload_that_is_broken_off_leaves_nothing() {
    let world = World::start().await;
    let upload = world.begin("eligible.csv").await;
    world.part("eligible.csv", &upload, 1, bytes(PART)).await;
    assert!(world.read("eligible.csv").await.is_none());
    let call = world.client.abort_multipart_upload().bucket(BUCKET).key("eligible.csv").upload_id(&upload);
    call.send().await.unwrap();
    assert!(world.read("eligible.csv").await.is_none());
    assert!(world.files().is_empty(), "{:?}", world.files());
    let late = world.client.upload_part().bucket(BUCKET).key("eligible.csv").upload_id(&upload).part_number(2);
    late.body(ByteStream::from_static(b"late")).send().await.unwrap_err();
    // Nor does a connection that breaks.
    world.raw("PUT /campaigns/eligible.csv HTTP/1.1\r\nhost: s3\r\ncontent-length: 100\r\n\r\nhalf of it", true).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(world.read("eligible.csv").await.is_none());
}

#[tokio::test]
async fn what_must_be_new_replaces_nothing() {
    let world = World::start().await;
    let put = || {
        let call = world.client.put_object().bucket(BUCKET).key("report.json").if_none_match("*");
        call.body(ByteStream::from_static(b"mine")).send()
    };
    put().await.unwrap();
    assert_eq!(status(&put().await.unwrap_err()), 412);
    let upload = world.begin("report.json").await;
    let parts = vec![world.part("report.json", &upload, 1, b"theirs".to_vec()).await];
    assert_eq!(world.complete("report.json", &upload, parts.clone(), true).await, Err(412));
    assert_eq!(world.read("report.json").await.unwrap(), b"mine");
    world.complete("report.json", &upload, parts, false).await.unwrap();
    assert_eq!(world.read("report.json").await.unwrap(), b"theirs");
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_checksum_are_refused() {
    let world = World::start().await;
    let call = world.client.put_object().bucket(BUCKET).key("list.csv").checksum_crc32("AAAAAA==");
    let error = call.body(ByteStream::from_static(b"a,b")).send().await.unwrap_err();
    assert_eq!(error.code(), Some("BadDigest"), "{error:?}");
}

#[tokio::test]
async fn any_credentials_will_do_and_none() {
    let world = World::start().await;
    world.put("list.csv", b"phone").await;
    let theirs = config::Credentials::new("AKIA0", "somebody's own", Some("a session".to_owned()), None, "test");
    let config =
        world.client.config().to_builder().credentials_provider(theirs).region(config::Region::new("eu-west-1"));
    let client = Client::from_conf(config.build());
    client.put_object().bucket(BUCKET).key("two.csv").body(ByteStream::from_static(b"x")).send().await.unwrap();
    let answer = world.raw("GET /campaigns/list.csv HTTP/1.1\r\nhost: s3\r\nconnection: close\r\n\r\n", false).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nphone"), "{answer}");
    let put = "PUT /campaigns/three.csv HTTP/1.1\r\nhost: s3\r\nconnection: close\r\ncontent-length: 3\r\n\r\na,b";
    assert!(world.raw(put, false).await.starts_with("HTTP/1.1 200"));
    assert_eq!(world.read("three.csv").await.unwrap(), b"a,b");
    let list = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(list.key_count, Some(3));
}

#[tokio::test]
async fn a_bucket_that_nobody_made_is_not_there_and_is_not_made_by_the_way() {
    let world = World::start().await;
    let (client, body) = (&world.client, || ByteStream::from_static(b"a,b"));
    let none = "campaings";
    let errors = [
        client
            .put_object()
            .bucket(none)
            .key("demo/in.csv")
            .body(body())
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
        client.get_object().bucket(none).key("demo/in.csv").send().await.unwrap_err().code().map(str::to_owned),
        client.list_objects_v2().bucket(none).send().await.unwrap_err().code().map(str::to_owned),
        client.create_multipart_upload().bucket(none).key("x").send().await.unwrap_err().code().map(str::to_owned),
    ];
    assert_eq!(errors, [const { Some("NoSuchBucket") }; 4].map(|code| code.map(str::to_owned)));
    let head = client.head_object().bucket(none).key("demo/in.csv").send().await.unwrap_err();
    assert_eq!(status(&head), 404);
    assert_eq!(std::fs::read_dir(world.objects.folder()).unwrap().count(), 1, "{BUCKET} alone");
    client.create_bucket().bucket("another").send().await.unwrap();
    client.put_object().bucket("another").key("demo/in.csv").body(body()).send().await.unwrap();
}
