use proptest::prelude::*;

use super::*;

fn masked(text: &str) -> String {
    redact(text).0.into_owned()
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(masked(text), *expected, "{text}");
    }
}

#[test]
fn emails() {
    check(&[
        ("mail kim.minsu@example.co.kr please", "mail [EMAIL] please"),
        ("<a.b+tag@sub.example.com>, b@example.org.", "<[EMAIL]>, [EMAIL]."),
        ("hong@example.com으로 보내주세요", "[EMAIL]으로 보내주세요"),
        ("담당자:lee_01@example.kr", "담당자:[EMAIL]"),
        ("a@b@example.com", "a@[EMAIL]"),
        ("meet @ noon, user@host, @mention, x@1.2", "meet @ noon, user@host, @mention, x@1.2"),
        ("kim＠example.com, lee\u{200b}@example.com", "[EMAIL], [EMAIL]"),
    ]);
}

#[test]
fn emails_in_letters_of_any_script() {
    check(&[
        ("kim@회사.한국, 김철수@company.co.kr", "[EMAIL], [EMAIL]"),
        ("김철수01@회사.com으로 문의", "[EMAIL]으로 문의"),
        ("메일은kim@example.com이고 담당자:이@회사.한국", "메일은[EMAIL]이고 담당자:[EMAIL]"),
        (
            "josé@example.com, jörg.müller@bücher.example.de, nguyễn@vi.vn",
            "[EMAIL], [EMAIL], [EMAIL]",
        ),
        ("kim@example.com.감사합니다", "[EMAIL].감사합니다"),
        ("사과@1000.원, 회의@본관 3층, 문의@", "사과@1000.원, 회의@본관 3층, 문의@"),
    ]);
}

#[test]
fn telephone_numbers() {
    check(&[
        ("연락처 010-1234-5678 입니다", "연락처 [PHONE] 입니다"),
        ("01012345678로 전화", "[PHONE]로 전화"),
        ("02-123-4567, 031-1234-5678, 070-1234-5678", "[PHONE], [PHONE], [PHONE]"),
        ("02)123-4567", "[PHONE]"),
        ("+82 10-1234-5678 or +82-2-123-4567", "[PHONE] or [PHONE]"),
        ("82-10-1234-5678", "[PHONE]"),
        ("call (555) 123-4567 or 555.123.4567", "call [PHONE] or [PHONE]"),
        ("1-800-555-1234", "[PHONE]"),
        ("+44 20 7946 0958, 020 7946 0958, +442079460958", "[PHONE], [PHONE], [PHONE]"),
        ("ext 3 010-1234-5678", "ext 3 [PHONE]"),
        ("010 - 1234 - 5678", "[PHONE]"),
        ("010–1234–5678 or 010 — 1234 — 5678", "[PHONE] or [PHONE]"),
        ("010\u{a0}1234\u{a0}5678, ０１０－１２３４－５６７８", "[PHONE], [PHONE]"),
        ("(555) 123-4567x89, 555-123-4567X1234.", "[PHONE], [PHONE]."),
        ("821012345678로, 82112345678, 8210-1234-5678", "[PHONE]로, [PHONE], [PHONE]"),
        ("82-2-123-4567, 82-31-123-4567", "[PHONE], [PHONE]"),
        (
            "대표번호 1588-1234, 1600-0000으로, 1899-9999.",
            "대표번호 [PHONE], [PHONE]으로, [PHONE].",
        ),
        ("ARS 1577–1577번, tel:1588-2100", "ARS [PHONE]번, tel:[PHONE]"),
    ]);
}

#[test]
fn cards_pass_the_luhn_check() {
    check(&[
        ("card 4111 1111 1111 1111 expired", "card [CARD] expired"),
        ("5555-5555-5555-4444", "[CARD]"),
        ("378282246310005번 카드", "[CARD]번 카드"),
        ("order 4111 1111 1111 1112", "order 4111 1111 1111 1112"),
        ("4111 1111 1111 1111 123", "[CARD] 123"),
        ("4111 - 1111 - 1111 - 1111", "[CARD]"),
        ("VISA4111111111111111, VISA4111 1111 1111 1111KRW", "VISA[CARD], VISA[CARD]KRW"),
        ("ref A4111111111111112", "ref A4111111111111112"),
    ]);
}

#[test]
fn resident_numbers() {
    check(&[
        ("주민번호 900101-1234567 입니다", "주민번호 [KR_RRN] 입니다"),
        ("9001011234567", "[KR_RRN]"),
        ("991231-5234567", "[KR_RRN]"),
        ("991331-1234567", "991331-1234567"),
        ("1900101-1234567", "1900101-1234567"),
        ("900101 1234567, 900101 - 1234567", "[KR_RRN], [KR_RRN]"),
        (
            "order 900101 0234567, batch 999901 1234567",
            "order 900101 0234567, batch 999901 1234567",
        ),
    ]);
}

#[test]
fn addresses() {
    check(&[
        ("ping 192.168.0.1 fails", "ping [IP] fails"),
        ("the server 10.20.30.40 is down", "the server [IP] is down"),
        ("10.20.30.40:8080/24", "[IP]:8080/24"),
        ("서버(10.0.0.5)에", "서버([IP])에"),
        ("fe80::1ff:fe23:4567:890a and 2001:db8::1.", "[IP] and [IP]."),
        ("::1", "[IP]"),
        ("IPv6:2001:db8::1, addr:fe80::1, face:fe80::1:2.", "IPv6:[IP], addr:[IP], [IP]."),
    ]);
}

#[test]
fn secrets() {
    check(&[
        ("password: Hunter2!", "password: [SECRET]"),
        ("Password = \"two words 1\" ok", "Password = \"[SECRET]\" ok"),
        ("pwd:abc123, user: bob", "pwd:[SECRET], user: bob"),
        ("비밀번호: qwer1234!", "비밀번호: [SECRET]"),
        ("비밀번호는 qwer1234! 입니다", "비밀번호는 [SECRET]! 입니다"),
        ("my password is Winter2026", "my password is [SECRET]"),
        ("key AKIAABCDEFGHIJKLMNOP used", "key [SECRET] used"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "[SECRET]"),
        ("xoxb-123456789012-abcdef", "[SECRET]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "[SECRET]"),
        ("sk-abcdefghijklmnopqrstuvwx", "[SECRET]"),
        ("Authorization: Bearer abcdef123456.ghi", "Authorization: Bearer [SECRET]"),
        ("sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b here", "sha [SECRET] here"),
        (
            "x\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\ny",
            "x\n[SECRET]\ny",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "[SECRET]"),
    ]);
}

#[test]
fn passwords_as_people_write_them() {
    check(&[
        ("ID: kim / PW: qwer1234!", "ID: kim / PW: [SECRET]"),
        ("아이디pw = qwer1234! \"pw\": \"a b c\"", "아이디pw = [SECRET] \"pw\": \"[SECRET]\""),
        ("pass: hunter2!x", "pass: [SECRET]"),
        ("DB_PASS=s3cr3t dbPass=s3cr3t", "DB_PASS=[SECRET] dbPass=[SECRET]"),
        ("SECRET_KEY=django-insecure-ab1", "SECRET_KEY=[SECRET]"),
        ("secretKey: abcd, secret key abc123def", "secretKey: [SECRET], secret key [SECRET]"),
        ("password keyboard1", "password [SECRET]"),
        ("Password:\nHunter2!", "Password:\n[SECRET]"),
        ("Password:\r\n  hunter\r\nThanks", "Password:\r\n  [SECRET]\r\nThanks"),
        ("Password: \nHunter2! is mine", "Password: \n[SECRET] is mine"),
        ("Password:\u{a0}Hunter2!", "Password:\u{a0}[SECRET]"),
        ("비밀번호：qwer1234!", "비밀번호：[SECRET]"),
        ("pass\u{200b}word: Hunter2!", "pass\u{200b}word: [SECRET]"),
        ("p\u{ad}w: qwer\u{feff}1234, x", "p\u{ad}w: [SECRET], x"),
    ]);
    for text in [
        "Password:\nDepartment: Sales",
        "Password:\n부서: 영업",
        "It asks for my password:\nThe window stays.",
        "Password:\n\nThanks",
        "the PW expired, a pass for visitors, PASS",
        "compass: north, BYPASS: all, passkey: missing",
    ] {
        assert_eq!(masked(text), text);
    }
}

/// A name before them does not make these secret, and they tell what the ticket is about.
#[test]
fn words_that_decide_survive_a_name() {
    for text in [
        "Reset password Office365",
        "비밀번호 Office365 초기화, 패스워드 windows11",
        "wrong password 0x8007052e",
        "wrong password AADSTS50126, token KB5031356 update",
        "비밀번호: 초기화 요청",
        "비밀번호: 변경해주세요",
        "Password: reset please",
        "Password: Expired.",
    ] {
        assert_eq!(masked(text), text);
    }
    check(&[
        ("password Qwer1234, 비번 ABCD1234", "password [SECRET], 비번 [SECRET]"),
        ("the password is Office365", "the password is [SECRET]"),
        ("비밀번호는 KB5031356 입니다", "비밀번호는 [SECRET] 입니다"),
        ("password \"Office365\"", "password \"[SECRET]\""),
        ("PASSWORD=changed", "PASSWORD=[SECRET]"),
        ("Password: reset1, 비밀번호: 초기화1", "Password: [SECRET], 비밀번호: [SECRET]"),
        (
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b: mismatch on gateway",
            "[SECRET]: mismatch on gateway",
        ),
    ]);
}

#[test]
fn only_private_keys_are_masked_whole() {
    let signed = "-----BEGIN PGP SIGNED MESSAGE-----\nVPN is down\n-----BEGIN PGP SIGNATURE-----\n\
                  iQ\n-----END PGP SIGNATURE-----";
    for text in [signed, "-----Begin of the message\nVPN is down", "-----BEGIN CERTIFICATE-----"] {
        assert_eq!(masked(text), text);
    }
    check(&[
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", "[SECRET]"),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQ\n-----END PGP PRIVATE KEY BLOCK-----\ny",
            "[SECRET]\ny",
        ),
    ]);
}

/// What a service desk must be able to read on.
#[test]
fn other_numbers_and_names_survive() {
    for text in [
        "error 0x80070005 and 0x8007000E, code -2147024891",
        "INC0012345 CHG0034567 RITM0010203",
        "Windows 10.0.19045 build 10.0.19045.3693, version 4.8.0.1, 버전 1.2.3.4",
        "2026-11-23 10:15:30, 23.11.2026, 11/23/2026, 2026.11.23",
        "asset KR-LT-00123456, SN 5CG1234XYZ",
        "room 1203, floor 12, 3 monitors, 1,234,567 won",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
        "the password has expired, please reset my password today",
        "비밀번호 초기화 부탁드립니다. 비밀번호가 만료되었습니다",
        "token expired; the secret santa list",
        "std::vec::Vec and a::b, 10:30:00, C:\\Users\\kim, https://example.com/a/b",
        "C:\\Program Files\\WindowsApps\\Microsoft.DesktopAppInstaller_1.21.3482.0_x64__8wekyb3d8bbwe",
        "task-force, risk-based, basic authentication, bearer of news",
        "KB5031356 KB5034441",
        "from 12:30:45 to 12:30:45.123, log:12:30:45, at 2026-11-23T12:30:45",
        "00:1A:2B:3C:4D:5E, mac:00:1A:2B:3C:4D:5E, 00-1A-2B-3C-4D-5E",
        "2026 - 11 - 23, 10 - 20 - 30, 09:00 - 18:00, pages 3 – 14, v1.2 – v1.3",
        "1920x1080, 4x100, INC0012345x2, SR202611230012345",
        "eyJ is not eyJhbGciOi alone, module::e1::f2, case:a1",
        "1588-1600, 1800-2030, 1600-1644, 1666–1688, 1600 - 1200, 1600 1200, 1588.1234",
        "2024-1588-1234, 1588-1234-5678, KR-1588-1234, 1588-1234-AB, 1500-1234, 2588-1234",
        "820012345678, 82123456789012, 8290-1234-5678, 82-3-123-4567",
    ] {
        assert_eq!(masked(text), text);
        assert_eq!(redact(text).1.total(), 0);
    }
}

#[test]
fn counts_by_kind() {
    let (_, counts) = redact("a@example.com b@example.com 010-1234-5678 10.0.0.1");
    assert_eq!(counts.get(MaskKind::Email), 2);
    assert_eq!(counts.get(MaskKind::Phone), 1);
    assert_eq!(counts.get(MaskKind::Ip), 1);
    assert_eq!(counts.total(), 4);
    assert_eq!(counts.iter().map(|(_, n)| n).collect::<Vec<_>>(), [2, 1, 0, 0, 1, 0]);
}

#[test]
fn untouched_text_is_borrowed() {
    assert!(matches!(redact("the printer on floor 3 is jammed"), (Cow::Borrowed(_), _)));
}

/// Each of these made some finder's worst case; quadratic ones would take minutes.
#[test]
fn hostile_texts_take_linear_time() {
    let n = 300_000;
    for unit in [
        "@",
        "a@",
        "1",
        "1-",
        "1.",
        "01",
        "a:",
        ":",
        "::1",
        "password",
        "password:",
        "password: ",
        "password:\n",
        "password:\npass ",
        "secret key ",
        "pass",
        "pw:",
        "pw ",
        "eyJ",
        "eyJa.",
        "eyJ-",
        "eyJ-eyJ-.a.",
        "-----BEGIN",
        "-----BEGIN PRIVATE ",
        "[EMAIL]",
        "a",
        "A1",
        "+1 ",
        "비밀번호",
        "bearer ",
        "(",
        "xox",
        "0-",
        "010-1234-5678",
        "a.b@c.de",
        "010 - ",
        "4111 - ",
        "a:1:",
        "\u{200b}",
        "\u{a0}",
        "pass\u{200b}word:\u{a0}",
        "１－",
        "://",
        "://a:@",
        "://가@",
        "1588-",
        "가@",
        "가.",
        "@가.",
    ] {
        let text = unit.repeat(n / unit.len());
        // A finder that takes quadratic time would not come back from this.
        let _ = redact(&text);
    }
}

/// Text that is rich in what the finders look for.
fn rich() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("a@example.com".to_owned()),
        Just("010-1234-5678".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("900101-1234567".to_owned()),
        Just("10.0.0.1".to_owned()),
        Just("fe80::1".to_owned()),
        Just("password: ".to_owned()),
        Just("비밀번호는 ".to_owned()),
        Just("AKIAABCDEFGHIJKLMNOP".to_owned()),
        Just("bearer ".to_owned()),
        Just("[EMAIL]".to_owned()),
        Just("[SECRET]".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just("password:\n".to_owned()),
        Just("pw=".to_owned()),
        Just("reset ".to_owned()),
        Just("https://kim:".to_owned()),
        Just("김@회사.한국".to_owned()),
        Just("1588-1234".to_owned()),
        Just("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi".to_owned()),
        Just("\u{200b}".to_owned()),
        Just("\u{a0}".to_owned()),
        Just(" – ".to_owned()),
        "[0-9 .+()-]{1,12}",
        "[a-zA-Z0-9:=@._\"' -]{1,12}",
        "\\PC{1,6}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn twice_is_once(text in rich()) {
        let once = masked(&text);
        prop_assert_eq!(masked(&once), once);
    }

    #[test]
    fn never_panics(text in "\\PC*") {
        let once = masked(&text);
        prop_assert_eq!(masked(&once), once);
    }

    #[test]
    fn planted_data_never_survives(before in "[a-z ]{0,20}", after in "[ .,!가-힣][a-z ]{0,20}") {
        for planted in ["kim@example.com", "010-1234-5678", "900101-1234567", "10.20.30.40"] {
            // Not right after "ver", which would make an address a version.
            let text = format!("{before} at {planted}{after}");
            prop_assert!(!masked(&text).contains(planted), "{}", text);
        }
    }
}
