//! Whatever the bytes: the parser answers, and what it calls a ticket is JSON that can be embedded.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use triaged::desk::{Input, parse};

fuzz_target!(|data: (&[u8], Option<&[u8]>, bool)| {
    let (value, content_type, binary) = data;
    let mut headers = Vec::new();
    if let Some(content_type) = content_type {
        headers.push((Cow::Borrowed("content-type"), Some(content_type.to_vec())));
    }
    if binary {
        for name in ["ce_id", "ce_source", "ce_type"] {
            headers.push((Cow::Borrowed(name), Some(b"x".to_vec())));
        }
        headers.push((Cow::Borrowed("ce_specversion"), Some(b"1.0".to_vec())));
    }
    let input = Input { value: Some(value), headers: &headers, max_bytes: 1 << 20 };
    match parse(&input) {
        Ok(ticket) => {
            assert!(!ticket.id.is_empty());
            let _ = triaged::desk::trace(value, &ticket);
            serde_json::from_str::<serde_json::Value>(&ticket.original).expect("embeddable JSON");
        }
        Err(malformed) => assert!(!malformed.to_string().is_empty()),
    }
});
