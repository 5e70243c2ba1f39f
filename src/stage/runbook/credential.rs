//! Credentials by name, from files. They are read for every request: the files are small, and a
//! rotated secret counts from the next request on, whatever the file system's clock says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

use super::failure::Failure;
use super::signature::SigningSecret;
use crate::resolve::host::AllowedHost;

/// No credential is larger; a larger file is a mistake.
const LARGEST: u64 = 256 * 1024;

/// Where a credential comes from, and how it is shown to the runbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer` with the file's content.
    Bearer { token: PathBuf },
    /// `Authorization: Basic` with the user and the file's content.
    Basic { user: String, password: PathBuf },
    /// A client certificate with its chain and its key, both PEM.
    Certificate { certificate: PathBuf, key: PathBuf },
    /// Standard Webhooks: `whsec_` secrets, one a line, every one of which signs.
    Webhook { secrets: PathBuf },
}

/// A credential and the only hosts that it is ever shown to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub credential: Credential,
    pub hosts: Vec<AllowedHost>,
}

/// A credential as its files say it now.
pub(super) enum Loaded {
    Authorization(HeaderValue),
    Identity { certificate: Vec<u8>, key: Vec<u8> },
    Secrets(Vec<SigningSecret>),
}

/// Reads the credential called `name`, for a request to `host`.
pub(super) fn load(
    credentials: &BTreeMap<String, Bound>,
    name: &str,
    host: &AllowedHost,
) -> Result<Loaded, Failure> {
    let failed = |problem: String| Failure::Credential(format!("credential {name:?}: {problem}"));
    let bound = credentials.get(name).ok_or_else(|| failed("not in the settings".to_owned()))?;
    if !bound.hosts.contains(host) {
        return Err(failed("not for this host".to_owned()));
    }
    load_one(&bound.credential).map_err(failed)
}

fn load_one(credential: &Credential) -> Result<Loaded, String> {
    match credential {
        Credential::Bearer { token } => {
            let token = read_line(token)?;
            Ok(Loaded::Authorization(authorization("Bearer", &token)?))
        }
        Credential::Basic { user, password } => {
            if user.contains(':') {
                return Err("the user holds a colon".to_owned());
            }
            let pair = STANDARD.encode(format!("{user}:{}", read_line(password)?));
            Ok(Loaded::Authorization(authorization("Basic", &pair)?))
        }
        Credential::Certificate { certificate, key } => {
            Ok(Loaded::Identity { certificate: read(certificate)?, key: read(key)? })
        }
        Credential::Webhook { secrets } => {
            let text = read_text(secrets)?;
            let parsed: Result<Vec<_>, _> =
                text.split_whitespace().map(SigningSecret::parse).collect();
            let parsed = parsed.map_err(|problem| format!("{}: {problem}", secrets.display()))?;
            if parsed.is_empty() {
                return Err(format!("{} is empty", secrets.display()));
            }
            Ok(Loaded::Secrets(parsed))
        }
    }
}

fn authorization(scheme: &str, value: &str) -> Result<HeaderValue, String> {
    let mut header = HeaderValue::from_str(&format!("{scheme} {value}"))
        .map_err(|_| "the file holds characters that no header may hold".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut content)?;
        Ok(content)
    };
    let content = read().map_err(|error| format!("{}: {error}", path.display()))?;
    if content.len() as u64 > LARGEST {
        return Err(format!("{} is larger than {LARGEST} bytes", path.display()));
    }
    Ok(content)
}

fn read_text(path: &Path) -> Result<String, String> {
    // The error of the conversion would hold the bytes.
    String::from_utf8(read(path)?).map_err(|_| format!("{} is not UTF-8", path.display()))
}

/// The file's one line without the end that editors add.
fn read_line(path: &Path) -> Result<String, String> {
    let text = read_text(path)?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn host(name: &str) -> AllowedHost {
        name.parse().unwrap()
    }

    fn one(credential: Credential) -> BTreeMap<String, Bound> {
        BTreeMap::from([("desk".to_owned(), Bound { credential, hosts: vec![host("desk.test")] })])
    }

    fn problem(credentials: &BTreeMap<String, Bound>, name: &str) -> String {
        match load(credentials, name, &host("desk.test")) {
            Err(Failure::Credential(problem)) => problem,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("no problem"),
        }
    }

    #[test]
    fn a_header_that_no_debug_shows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "open sesame\n").unwrap();
        let basic = one(Credential::Basic { user: "Aladdin".into(), password: file });
        let Ok(Loaded::Authorization(header)) = load(&basic, "desk", &host("desk.test")) else {
            panic!("not a header")
        };
        // RFC 7617's example.
        assert_eq!(header.to_str().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{header:?}"), "Sensitive");
    }

    #[test]
    fn a_credential_is_for_its_hosts_alone_by_scheme_name_and_port() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, "hunter2\n").unwrap();
        let bearer = one(Credential::Bearer { token });
        assert!(load(&bearer, "desk", &host("desk.test:443")).is_ok());
        for other in ["desk.test:8443", "http://desk.test:443", "desk.test.example", "other.test"] {
            let Err(failure) = load(&bearer, "desk", &host(other)) else { panic!("{other}") };
            assert!(failure.to_string().contains("not for this host"), "{failure}");
        }
    }

    #[test]
    fn problems_name_the_credential_and_never_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let bearer = one(Credential::Bearer { token: file.clone() });
        assert!(problem(&bearer, "other").contains("credential \"other\": not in the settings"));
        assert!(problem(&bearer, "desk").contains("credential \"desk\""));
        for content in [&b"hunter2\nhunter2"[..], b"hunter2\x00", b"hunter2\xff", b"\n"] {
            fs::write(&file, content).unwrap();
            let problem = problem(&bearer, "desk");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        fs::write(&file, vec![b'a'; 300_000]).unwrap();
        assert!(problem(&bearer, "desk").contains("larger than"));
        fs::write(&file, "whsec_hunter2").unwrap();
        let webhook = one(Credential::Webhook { secrets: file });
        assert!(!problem(&webhook, "desk").contains("hunter2"));
    }
}
