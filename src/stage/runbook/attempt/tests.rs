use super::*;

fn call(url: &str) -> Call {
    Call {
        method: Method::Post,
        url: url.to_owned(),
        host: "runbooks.example".into(),
        port: 443,
        headers: Vec::new(),
        body: Some(b"{}".to_vec()),
        credential: None,
        timeout: Duration::from_secs(10),
    }
}

fn with_header(name: &str, value: &str) -> Call {
    let mut call = call("https://runbooks.example/");
    call.headers.push((name.to_owned(), value.to_owned()));
    call
}

#[test]
fn a_url_leads_to_the_host_of_the_playbook_or_nowhere() {
    assert!(target(&call("https://runbooks.example/users/a%2F..%2Fb?x=y")).is_ok());
    for url in [
        "https://runbooks.example.evil.test/",
        "https://evil.test/",
        "https://runbooks.example:8443/",
        "http://runbooks.example/",
        "https://runbooks.example@evil.test/",
        "https://user@runbooks.example/",
        "https://user:password@runbooks.example/",
        "https://runbooks.example\n.evil.test/",
        "https://runbooks.example/a b",
        "https://runbooks.example/\r\nHost: evil.test",
        "https://evil.test\\@runbooks.example/",
        "file:///etc/passwd",
        "",
    ] {
        assert!(matches!(target(&call(url)), Err(Failure::InvalidCall(_))), "{url}");
    }
}

#[test]
fn headers_cannot_be_injected() {
    for (name, value) in [
        ("x-note", "a\r\nHost: evil.test"),
        ("x-note", "a\nb"),
        ("x-note", "a\0b"),
        ("x-note\r\nHost", "evil.test"),
        ("x note", "a"),
        ("", "a"),
    ] {
        let refused = headers(&with_header(name, value), "key");
        assert!(matches!(refused, Err(Failure::InvalidCall(_))), "{name:?}: {value:?}");
    }
    for name in RESERVED_HEADERS {
        assert!(headers(&with_header(&name.to_uppercase(), "x"), "key").is_err(), "{name}");
    }
}

#[test]
fn the_key_is_a_quoted_string_and_cannot_break_out_of_it() {
    let good = call("https://runbooks.example/");
    let key = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let sent = headers(&good, key).unwrap();
    assert_eq!(sent["idempotency-key"], format!("\"{key}\""));
    assert_eq!(sent["content-type"], "application/json");
    for key in ["", "a\"b", "a\\b", "a\r\nb", "\u{e9}"] {
        assert!(headers(&good, key).is_err(), "{key:?}");
    }
    let mut get = good;
    get.method = Method::Get;
    get.body = None;
    assert!(headers(&get, key).unwrap().is_empty());
}

#[test]
fn a_cause_is_found_inside_an_io_error() {
    let inner = io::Error::other(AllForbidden);
    let outer = io::Error::other(inner);
    assert!(cause::<AllForbidden>(&outer).is_some());
    assert!(cause::<rustls::Error>(&outer).is_none());
}
