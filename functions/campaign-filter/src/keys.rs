//! The buckets and keys that a campaign of a tenant may name: those that S3 can have at all and, of the keys, those below
//! the tenant's id. A call to S3 with any other always fails, or reaches another tenant's objects.

use consent::id::TenantId;

use crate::error::{FieldPath, FilterError};

/// The longest key, in bytes: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>.
const LONGEST_KEY: usize = 1024;

/// The length of a bucket's name, in characters:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
const BUCKET_LENGTH: std::ops::RangeInclusive<usize> = 3..=63;

/// The beginning that the keys of several objects share, with or without a slash at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyPrefix<'a>(pub(crate) &'a str);

impl KeyPrefix<'_> {
    /// The key of the object with this name.
    pub(crate) fn key(self, name: &str) -> String {
        format!("{}/{name}", self.0.strip_suffix('/').unwrap_or(self.0))
    }
}

/// Checks the name of a bucket.
///
/// # Errors
/// No bucket can have this name. Neither an ARN nor the alias of an access point is a name.
pub(crate) fn check_bucket(field: FieldPath, bucket: &str) -> Result<(), FilterError> {
    let fits = BUCKET_LENGTH.contains(&bucket.len())
        && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
        && bucket.split('.').all(|label| !label.is_empty())
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
        && bucket.parse::<std::net::Ipv4Addr>().is_err();
    if fits {
        return Ok(());
    }
    Err(field.invalid("give the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes, no ARN"))
}

/// Checks the prefix of objects, the longest name of which is `longest_name`.
///
/// # Errors
/// S3 can't have these keys, or they are not below the tenant's id.
pub(crate) fn check_prefix(
    field: FieldPath,
    prefix: KeyPrefix,
    longest_name: &str,
    tenant: &TenantId,
) -> Result<(), FilterError> {
    if !prefix.0.starts_with(&format!("{}/", tenant.as_str())) {
        return Err(not_below(field, tenant));
    }
    check_key(field, &prefix.key(longest_name), tenant)
}

/// Checks the key of an object.
///
/// # Errors
/// S3 can't have this key, or it is not below the tenant's id.
pub(crate) fn check_key(field: FieldPath, key: &str, tenant: &TenantId) -> Result<(), FilterError> {
    if key.len() > LONGEST_KEY {
        return Err(field.invalid("is too long: a key has at most 1,024 bytes"));
    }
    if key.chars().any(char::is_control) {
        return Err(field.invalid("has control characters; remove them"));
    }
    let mut segments = key.split('/');
    if segments.next() != Some(tenant.as_str()) {
        return Err(not_below(field, tenant));
    }
    // Some clients and proxies resolve these, and then reach another key.
    if segments.clone().any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(field.invalid("has a part between two slashes, or behind the last, that is empty, `.` or `..`"));
    }
    if segments.next().is_none() {
        return Err(field.invalid(&format!("has to go on behind {}/", tenant.as_str())));
    }
    Ok(())
}

fn not_below(field: FieldPath, tenant: &TenantId) -> FilterError {
    field.invalid(&format!("has to begin with the tenant's id and a slash: {}/", tenant.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> Result<(), String> {
        check_key(FieldPath("source.key"), key, &"demo".parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_stands_below_the_tenants_own_id() {
        for good in
            ["demo/in.csv", "demo/a/b c+ü.csv", "demo/..in", "demo/demo2/x", &format!("demo/{}", "x".repeat(1019))]
        {
            assert_eq!(key(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "demo",
            "demo/",
            "in.csv",
            "/demo/in.csv",
            "demo2/in.csv",
            "Demo/in.csv",
            "dem/in.csv",
            "acme/demo/in.csv",
            "demo/../acme/in.csv",
            "demo/./in.csv",
            "demo/a/..",
            "demo//in.csv",
            "demo/folder/",
            "demo\\in.csv",
            "demo%2Fin.csv",
            "demo\u{2215}in.csv",
            "demo/a\nb",
            "demo/\0",
            &format!("demo/{}", "x".repeat(1020)),
        ] {
            let told = key(bad).unwrap_err();
            assert!(told.starts_with("source.key: "), "{bad}: {told}");
        }
    }

    #[test]
    fn a_prefix_stands_below_the_tenants_own_id() {
        let prefix = |prefix: &str| {
            check_prefix(FieldPath("destination.prefix"), KeyPrefix(prefix), "eligible.jsonl", &"demo".parse().unwrap())
                .map_err(|error| error.to_string())
        };
        for good in ["demo/", "demo/spring-1", "demo/spring-1/", "demo/a/b", &format!("demo/{}", "x".repeat(1004))] {
            assert_eq!(prefix(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/",
            "demo",
            "demo2",
            "demo2/spring-1",
            "spring-1",
            "demo//",
            "demo/spring-1//",
            "demo/..",
            "demo/../acme/",
            &format!("demo/{}", "x".repeat(1005)),
        ] {
            let told = prefix(bad).unwrap_err();
            assert!(told.starts_with("destination.prefix: "), "{bad}: {told}");
        }
        assert_eq!(KeyPrefix("demo/").key("skipped.csv"), "demo/skipped.csv");
        assert_eq!(KeyPrefix("demo/spring-1").key("skipped.csv"), "demo/spring-1/skipped.csv");
    }

    #[test]
    fn a_bucket_has_a_name_that_s3_gives() {
        for good in ["campaigns", "a1b", "my.lists-2", &"x".repeat(63)] {
            assert!(check_bucket(FieldPath("source.bucket"), good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Campaigns",
            "my_lists",
            "-lists",
            "lists-",
            ".lists",
            "my..lists",
            "a/b",
            "../lists",
            "192.168.5.4",
            "arn:aws:s3:::campaigns",
            &"x".repeat(64),
        ] {
            let told = check_bucket(FieldPath("source.bucket"), bad).unwrap_err().to_string();
            assert!(told.starts_with("source.bucket: "), "{bad}: {told}");
        }
    }
}
