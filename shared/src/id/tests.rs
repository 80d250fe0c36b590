//! Which texts are ids, and which ids are one.

use super::*;

#[test]
fn tenant_ids_have_1_to_36_plain_characters() {
    for good in ["demo", "a", "A-b_9", &"x".repeat(36)] {
        assert_eq!(good.parse::<TenantId>().unwrap().as_str(), good);
    }
    for bad in ["", "a b", "a#b", "é", "a/b", &"x".repeat(37)] {
        assert_eq!(bad.parse::<TenantId>(), Err(InvalidTenantId), "{bad}");
    }
}

#[test]
fn user_ids_are_told_from_phones_and_never_altered() {
    let id = "US.13491208655302741918".parse::<ContactId>().unwrap();
    assert!(matches!(id, ContactId::User(_)));
    assert_eq!(id.as_str(), "US.13491208655302741918");
    assert!("US.ENT.11815799212886844830".parse::<ContactId>().is_ok());
    for bad in ["us.1", "USA.1", "US.", "US.a-b", "US.ENT.", &format!("US.{}", "1".repeat(129))] {
        assert!(bad.parse::<UserId>().is_err(), "{bad}");
    }
}

#[test]
fn spellings_of_one_number_are_one_contact_id() {
    for spelling in ["14155550123", "+1 (415) 555-0123", "0014155550123", "+1.415.555.0123"] {
        assert_eq!(spelling.parse::<ContactId>().unwrap().as_str(), "+14155550123", "{spelling}");
    }
}

#[test]
fn a_number_is_found_under_either_spelling() {
    assert_eq!("5215512345678".parse::<ContactId>(), "+52 55 1234 5678".parse());
    assert_eq!(ContactId::received("22997123456"), "+229 01 97 12 34 56".parse());
}

#[test]
fn what_people_write_is_read_strictly_and_what_was_kept_is_not() {
    for odd in ["+1234567", "+4407700900123", "+0123456789"] {
        assert_eq!(ContactId::received(odd).unwrap().as_str(), odd);
        assert_eq!(serde_json::from_value::<ContactId>(odd.into()).unwrap().as_str(), odd);
        assert!(odd.parse::<ContactId>().is_err(), "{odd}");
    }
    let user = "US.13491208655302741918";
    assert_eq!(ContactId::received(user), user.parse());
}

#[test]
fn what_is_printed_for_logs_names_no_person() {
    let id = "+14155550123".parse::<ContactId>().unwrap();
    assert_eq!(format!("{id:?}"), "ContactId(phone)");
}

#[test]
fn a_shard_is_the_first_hex_digit_of_the_sha256() {
    let id = "+14155550123".parse::<ContactId>().unwrap();
    let digest = hex::encode(Sha256::digest("+14155550123"));
    assert_eq!(id.shard().to_string(), digest[..1]);
    assert_eq!(Shard::all().count(), 16);
    for shard in Shard::all() {
        assert_eq!(shard.to_string().parse(), Ok(shard));
    }
    assert_eq!("+1".parse::<Shard>(), Err(InvalidShard));
}

#[test]
fn long_event_ids_are_hashed() {
    assert_eq!(EventId::from("x".repeat(200)).as_str().len(), 200);
    assert_eq!(EventId::from("x".repeat(201)), EventId::of_content("x".repeat(201).as_bytes()));
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(cut("añb", 2), "a");
    assert_eq!(cut("añb", 3), "añ");
    assert_eq!(cut("añb", 9), "añb");
}
