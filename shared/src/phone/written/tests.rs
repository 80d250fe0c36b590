//! Numbers as people write them, and how they are read.

use super::super::{InvalidPhone, Phone};

#[track_caller]
fn digits(text: &str) -> String {
    let phone: Phone = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
    phone.digits().to_owned()
}

#[track_caller]
fn refusal(text: &str) -> InvalidPhone {
    match text.parse::<Phone>() {
        Ok(phone) => panic!("{text:?} was read as {phone}"),
        Err(error) => error,
    }
}

#[test]
fn a_bare_digit_string_is_international_already() {
    assert_eq!(digits("14155550123"), "14155550123");
    assert_eq!(digits("+14155550123"), "14155550123");
}

#[test]
fn separators_are_dropped() {
    for text in [
        "+1 415 555 0123",
        "+1-415-555-0123",
        "+1.415.555.0123",
        "1.415.555.0123",
        "+1 (415) 555-0123",
        "(+1) 415 555 0123",
        "+1·415·555·0123",
        " \t+1\u{A0}415\u{2009}555\u{3000}0123\n",
        "+1\u{2010}415\u{2011}555\u{2013}0123",
        "+1\u{2014}415\u{2212}555\u{FF0D}0123",
        "＋１（４１５）５５５－０１２３",
    ] {
        assert_eq!(digits(text), "14155550123", "{text:?}");
    }
}

#[test]
fn invisible_marks_are_dropped() {
    for text in [
        "\u{202A}+1 415 555 0123\u{202C}",
        "\u{200E}+1\u{200B}415\u{FEFF}5550123\u{200F}",
        "\u{2066}+14155550123\u{2069}",
        "\u{61C}+1415\u{AD}555\u{2060}0123",
        "\u{200E}tel:\u{200E}+14155550123",
    ] {
        assert_eq!(digits(text), "14155550123", "{text:?}");
    }
}

#[test]
fn digits_of_any_script_are_read() {
    for text in [
        "+١٤١٥٥٥٥٠١٢٣",            // Arabic
        "+۱۴۱۵۵۵۵۰۱۲۳",            // Persian
        "+१४१५५५५०१२३",            // Devanagari
        "+১৪১৫৫৫৫০১২৩",            // Bengali
        "+๑๔๑๕๕๕๕๐๑๒๓",            // Thai
        "+၁၄၁၅၅၅၅၀၁၂၃",            // Myanmar
        "+１４１５５５５０１２３", // full width
        "+𝟏𝟒𝟏𝟓𝟓𝟓𝟓𝟎𝟏𝟐𝟑",            // mathematical bold
        "+𝟷𝟺𝟷𝟻𝟻𝟻𝟻𝟶𝟷𝟸𝟹",            // mathematical monospace, in the last of five adjoining runs
    ] {
        assert_eq!(digits(text), "14155550123", "{text:?}");
    }
}

#[test]
fn numbers_that_are_no_decimal_digits_are_refused() {
    for text in ["+1415555012³", "+1415555012③", "+1415555012½", "+1415555012四", "+1415555012Ⅲ"] {
        assert_eq!(refusal(text), InvalidPhone::StrayCharacter, "{text:?}");
    }
}

#[test]
fn what_stands_before_a_number_is_understood() {
    for text in [
        "tel:+14155550123",
        "TEL:+1-415-555-0123",
        "whatsapp:+14155550123",
        "WhatsApp: 14155550123",
        "https://wa.me/14155550123",
        "HTTPS://WA.ME/14155550123/",
        "http://wa.me/+14155550123?text=Hello%201",
        "'+14155550123",
        "'14155550123",
        " ’1 415 555 0123",
        "'tel:+14155550123",
    ] {
        assert_eq!(digits(text), "14155550123", "{text:?}");
    }
    for text in ["sms:+14155550123", "wa.me/message/14155550123", "https://wa.me/message/ABC", "tel", "''14155550123"] {
        assert_eq!(refusal(text), InvalidPhone::StrayCharacter, "{text:?}");
    }
}

#[test]
fn a_leading_00_is_a_plus() {
    assert_eq!(digits("0014155550123"), "14155550123");
    assert_eq!(digits("00 44 20 7946 0958"), "442079460958");
    assert_eq!(digits("(00) 44 20 7946 0958"), "442079460958");
    assert_eq!(digits("(0044) 20 7946 0958"), "442079460958");
    assert_eq!(digits("00 (44) 20 7946 0958"), "442079460958");
    assert_eq!(refusal("+0014155550123"), InvalidPhone::LeadingZero);
    assert_eq!(refusal("00014155550123"), InvalidPhone::LeadingZero);
}

#[test]
fn the_national_prefix_in_parentheses_is_dropped() {
    for text in [
        "+44 (0)20 7946 0958",
        "+44(0) 20 7946 0958",
        "44 (0) 20 7946 0958",
        "0044 ( 0 ) 20 7946 0958",
        "(+44) (0)20 7946 0958",
        "+44 （٠） 20 7946 0958",
    ] {
        assert_eq!(digits(text), "442079460958", "{text:?}");
    }
    assert_eq!(refusal("+44 (020) 7946 0958"), InvalidPhone::Start { code: 44, start: '0' });
    assert_eq!(refusal("+44 20 (0) 7946 0958"), InvalidPhone::StrayZero);
}

#[test]
fn the_zero_in_parentheses_is_kept_where_numbers_begin_with_it() {
    for (text, read) in [
        ("+39 (0)6 698 12345", "39066981 2345"),
        ("+378 (0) 549 886 377", "378 0549 886377"),
        ("+225 (0)7 12 34 56 78", "225 0712345678"),
        ("+241 (0)6 03 12 34", "241 06031234"),
        ("+242 (0)6 123 45 67", "242 061234567"),
    ] {
        assert_eq!(digits(text), read.replace(' ', ""), "{text}");
    }
}

#[test]
fn parentheses_without_a_country_code_before_them_are_refused() {
    for text in [
        "(415) 555-0123",
        "(1415) 555-0123",
        "(1) 415 555 0123",
        "(44) 20 7946 0958",
        "8 (495) 123-45-67",
        "+8 (495) 123-45-67",
        "+(415) 555 012 34",
        "4 (15) 555 0123",
    ] {
        assert_eq!(refusal(text), InvalidPhone::NoCountryCode, "{text:?}");
    }
    for text in [
        "1 (415) 555-0123",
        "1(415)555-0123",
        "(+1 415) 555-0123",
        "(+14155550123)",
        "+(1) 415 555 0123",
        "+1 () 4155550123",
    ] {
        assert_eq!(digits(text), "14155550123", "{text:?}");
    }
    assert_eq!(digits("+7 (495) 123-45-67"), "74951234567");
}

#[test]
fn parentheses_without_their_other_half_are_refused() {
    for text in ["415) 555-0123", "+1 415) 555-0123", "+1 (415 555-0123", "+1 ((415)) 555-0123", "+1 )415( 555-0123"] {
        assert_eq!(refusal(text), InvalidPhone::Parentheses, "{text:?}");
    }
}

#[test]
fn decimals_and_exponents_are_refused() {
    for text in [
        "14155550123.0",
        "+14155550123.0",
        "14155550123.00",
        "14155550123.000000",
        "14155550123.5",
        "14 155 550 123.0",
        "'14155550123.0",
        "４９１５１１２３４５６７.０",
        "14155550123,0",
        "14 155 550 123,00",
        "14155550123,000",
        "1.4155550123E+10",
        "4.9E+12",
        "4,9E+12",
        "4.9e12",
        "4,91511E+12",
        "49E11",
        "-4.9E+12",
    ] {
        assert_eq!(refusal(text), InvalidPhone::Decimal, "{text:?}");
    }
    for text in
        ["+1.4155550123", "1.4155550123", "+1 415 555.0123", "+1415555.0123", "+1.415.555.01.23", "14155550123."]
    {
        assert_eq!(digits(text), "14155550123", "{text:?}");
    }
    assert_eq!(digits("+1415555.0000"), "14155550000");
}

#[test]
fn extensions_are_refused() {
    for text in [
        "+1 415 555 0123 ext 4",
        "+1 415 555 0123 ext. 4",
        "+1 415 555 0123 Extension 4",
        "+1 415 555 0123x4",
        "+1 415 555 0123 X 4",
        "+1 415 555 0123 #4",
        "tel:+1-415-555-0123;ext=4",
    ] {
        assert_eq!(refusal(text), InvalidPhone::Extension, "{text:?}");
    }
}

#[test]
fn a_number_without_country_code_is_refused() {
    for text in ["020 7946 0958", "(0)20 7946 0958", "(020) 7946 0958", "+0 20 7946 0958", "011 44 20 7946 0958"] {
        assert_eq!(refusal(text), InvalidPhone::LeadingZero, "{text:?}");
    }
}

#[test]
fn numbers_that_cannot_exist_are_refused_by_the_digit_behind_the_country_code() {
    for (text, code, start) in [
        ("+44 07700 900123", 44, '0'),
        ("4407700900123", 44, '0'),
        ("+49 0151 12345678", 49, '0'),
        ("+1 1 415 555 0123", 1, '1'),
        ("+1 015 555 0123", 1, '0'),
        ("0011 49 151 12345678", 1, '1'),
        ("810 49 30 1234567", 81, '0'),
        ("+82 010 1234 5678", 82, '0'),
        ("+62 0812 3456 789", 62, '0'),
        ("+81 090 1234 5678", 81, '0'),
        ("+598 099 123 456", 598, '0'),
        ("+39 202 555 0123", 39, '2'),
    ] {
        assert_eq!(refusal(text), InvalidPhone::Start { code, start }, "{text}");
    }
}

#[test]
fn numbers_that_cannot_exist_are_refused_by_their_length() {
    for (text, code, start, digits) in [
        ("141555501230", 1, '4', 11),
        ("1415555012", 1, '4', 9),
        ("4155550123", 41, '5', 8),
        ("+7 8 495 123 45 67", 7, '8', 11),
        ("+375 8 029 123 45 67", 375, '8', 11),
        ("+375 8 29 123 45 67", 375, '8', 10),
        ("+33 6 12 34 56 7", 33, '6', 8),
        ("7700900123", 7, '7', 9),
    ] {
        assert_eq!(refusal(text), InvalidPhone::Length { code, start, digits }, "{text}");
    }
}

#[test]
fn a_country_code_that_nobody_has_is_refused() {
    for text in ["+210 1234567", "9995550123", "+999 555 0123", "+379 06 698 12345"] {
        assert_eq!(refusal(text), InvalidPhone::CountryCode, "{text}");
    }
}

#[test]
fn numbers_are_read_in_the_forms_that_whatsapp_keeps() {
    for number in ["5215512345678", "5491123456789", "551181234567", "5511981234567", "22997123456", "22507123456"] {
        assert_eq!(digits(number), number);
    }
}

#[test]
fn only_one_leading_plus_is_allowed() {
    for text in ["++14155550123", "1+4155550123", "14155550123+", "+1 +415 555 0123", "00+14155550123"] {
        assert_eq!(refusal(text), InvalidPhone::StrayPlus, "{text:?}");
    }
}

#[test]
fn seven_to_fifteen_digits_are_a_number() {
    assert_eq!(digits("+683 4002"), "6834002");
    assert_eq!(digits("+49 151 1234567890"), "491511234567890");
    assert_eq!(refusal("+683 400"), InvalidPhone::TooShort);
    assert_eq!(refusal("+49 151 12345678901"), InvalidPhone::TooLong);
    for text in ["", " ", "+", "()", "00", "-", "."] {
        assert_eq!(refusal(text), InvalidPhone::TooShort, "{text:?}");
    }
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "+1/415/555/0123",
        "+1_415_555_0123",
        "+1,415,555,0123",
        "+1 415 555 O123",
        "+1 415 555 xxxx",
        "14155550123@s.whatsapp.net",
        "US.13491208655302741918",
        "📞+14155550123",
        "+1415555012\u{0}3",
        "+1 415 555 0123; +1 415 555 0124",
        "nobody",
    ] {
        assert_eq!(refusal(text), InvalidPhone::StrayCharacter, "{text:?}");
    }
}
