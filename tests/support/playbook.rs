//! Approved, live playbooks for tests, each with one step and its undo.
#![allow(dead_code, reason = "each binary that includes this uses its own part of it")]

use std::path::Path;

use triaged::playbook::{Approval, LOCK_FILE, TextFile, approve};

/// The line that says why a playbook does not read the ticket again; goes where `[unchanged]` comes.
pub const UNREAD: &str = "unread = \"The desk cannot be asked.\"";

/// A playbook that calls `http://127.0.0.1:<port>/<id>/<user>` for tickets that say `do <id>`.
pub fn text(id: &str, port: u16, delivery: &str) -> String {
    format!(
        r#"
        id = "{id}"
        version = 1
        title = "Do {id}"
        owner = "identity@example.com"
        mode = "live"
        delivery = "{delivery}"
        minutes_saved = 6
        fallback_queue = "identity"
        {UNREAD}
        [match]
        requests = ["{id}"]
        rules = [{{ all_words = ["do {id}"] }}]
        [slots.user]
        pattern = '[a-z]{{2,20}}'
        from = ["/user"]
        [[steps]]
        name = "act"
        method = "POST"
        url = "http://127.0.0.1:{port}/{id}/{{{{slot.user}}}}"
        body = {{ ticket = "{{{{ticket.id}}}}" }}
        timeout_ms = 1000
        [undo]
        method = "POST"
        url = "http://127.0.0.1:{port}/undo-{id}/{{{{slot.user}}}}"
        [reply]
        en = "{{{{slot.user}}}} can sign in again."
        ko = "{{{{slot.user}}}} 계정이 풀렸습니다."
        [[examples]]
        subject = "do {id}"
        ticket = {{ user = "kim" }}
        expect = {{ user = "kim" }}
        [[counter_examples]]
        subject = "do not"
        "#
    )
}

/// These playbooks, approved, and the lock that says so.
pub fn approved(texts: impl IntoIterator<Item = String>) -> (Vec<TextFile>, String) {
    approved_on(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(), texts)
}

/// The same, approved on that day and for a year.
pub fn approved_on(
    today: jiff::civil::Date,
    texts: impl IntoIterator<Item = String>,
) -> (Vec<TextFile>, String) {
    let texts = texts.into_iter().enumerate();
    let mut files: Vec<TextFile> =
        texts.map(|(i, text)| TextFile { name: format!("{i}.toml"), text }).collect();
    let mut lock = None;
    let until = today.saturating_add(jiff::Span::new().years(1));
    for i in 0..files.len() {
        let approval = Approval { approver: String::from("board@example.com"), until };
        let id = files[i].text.split('"').nth(1).expect("an id").to_owned();
        let (file, written) =
            approve(&files, lock.as_deref(), &id, &approval, today).expect("an approval");
        files[i] = file;
        lock = Some(written);
    }
    (files, lock.unwrap_or_default())
}

/// Writes approved playbooks into a new folder.
pub fn write(dir: &Path, texts: impl IntoIterator<Item = String>) {
    let (files, lock) = approved(texts);
    std::fs::create_dir_all(dir).expect("a folder");
    for file in files {
        std::fs::write(dir.join(file.name), file.text).expect("a playbook");
    }
    std::fs::write(dir.join(LOCK_FILE), lock).expect("a lock");
}
