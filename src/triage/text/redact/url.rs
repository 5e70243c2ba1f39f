//! Credentials in links: `postgres://user:password@host`, `https://token@host`.

use super::{Found, MaskKind};

/// The shortest name without a password that is taken for a token.
const TOKEN_CHARS: usize = 16;

/// Finds what stands between `://` and the last `@` before the link's path. The finds are in the
/// text's order, and the host is left to be read.
pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    // Most texts have none.
    let Some(last) = memchr::memrchr(b'@', bytes) else { return };
    // Each search ends at a slash at the latest, and the next link has one too: linear.
    for colon in memchr::memmem::find_iter(&bytes[..last], b"://") {
        let start = colon + "://".len();
        let len = bytes[start..].iter().take_while(|b| !ends_authority(**b)).count();
        let Some(len) = memchr::memrchr(b'@', &bytes[start..start + len]) else { continue };
        let user = &text[start..start + len];
        if user.contains(':') || user.chars().nth(TOKEN_CHARS - 1).is_some() {
            found.push(Found { start, end: start + len, kind: MaskKind::Secret });
        }
    }
}

fn ends_authority(byte: u8) -> bool {
    matches!(byte, b'/' | b'?' | b'#') || byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use crate::triage::text::redact::redact;

    #[test]
    fn passwords_and_tokens_are_masked_and_hosts_stay() {
        for (text, expected) in [
            ("mongodb://user:s3cr3tpw@dbhost/app", "mongodb://[SECRET]@dbhost/app"),
            ("postgres://svc:Passw0rdX@10.1.1.1/app", "postgres://[SECRET]@[IP]/app"),
            ("https://oauth2:glpat12345secret@gitlab/x", "https://[SECRET]@gitlab/x"),
            (
                "git clone https://0123456789abcdef@git.example.com/x",
                "git clone https://[SECRET]@git.example.com/x",
            ),
            ("redis://:pw@cache:6379 is down", "redis://[SECRET]@cache:6379 is down"),
            ("amqp://u:p@ss:w@rd@mq.example.com?x", "amqp://[SECRET]@mq.example.com?x"),
            ("접속은 ftp://kim:비밀@서버/a 입니다", "접속은 ftp://[SECRET]@서버/a 입니다"),
            ("ftp://u:p@a/b http://c:d@e#f", "ftp://[SECRET]@a/b http://[SECRET]@e#f"),
            ("http://u:p@h/?mail=kim@example.com", "http://[SECRET]@h/?mail=[EMAIL]"),
            ("https：//kim:pw@host", "https：//[SECRET]@host"),
        ] {
            assert_eq!(redact(text).0, expected, "{text}");
        }
    }

    #[test]
    fn links_without_credentials_stay() {
        for text in [
            "https://gitlab.example.com:8443/a@b and ssh://git@gitlab/x",
            "http://host:8080?user=a@b http://[fe80/x",
            "https:// @home, ://@x, std::a://",
        ] {
            assert_eq!(redact(text).0, text);
        }
    }
}
