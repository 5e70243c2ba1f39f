//! The token of the endpoint for people, from its file.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::ControlConfig;

/// A token is at least so long, so that nobody guesses it.
const SHORTEST: usize = 16;

/// Why nobody could show the token of a file. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(
        "control.token_file: {file} cannot be read: {source}; a token for it can be made with \
         `openssl rand -hex 32`"
    )]
    Unreadable { file: PathBuf, source: io::Error },
    #[error(
        "control.token_file: the token in {file} has fewer than {SHORTEST} characters; make a \
         longer one with `openssl rand -hex 32`"
    )]
    TooShort { file: PathBuf },
    #[error(
        "control.token_file: {file} holds more than a token, which is one line of letters, digits \
         and signs, without blanks; make one with `openssl rand -hex 32`"
    )]
    Unfit { file: PathBuf },
}

/// Whether people will be heard, as far as the token goes. Without a token file there is no
/// endpoint, and nothing to check.
///
/// # Errors
/// [`TokenError`] says what is wrong with the file.
pub fn check(config: &ControlConfig) -> Result<(), TokenError> {
    config.token_file.as_deref().map_or(Ok(()), |file| read(file).map(|_| ()))
}

/// The token that stands in a file now.
///
/// # Errors
/// [`TokenError`] if there is none that a caller could show.
pub(super) fn read(file: &Path) -> Result<String, TokenError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| TokenError::Unreadable { file: file.to_owned(), source })?;
    let token = text.trim();
    if token.len() < SHORTEST {
        return Err(TokenError::TooShort { file: file.to_owned() });
    }
    // A header can hold nothing else, so nobody could ever show it.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Unfit { file: file.to_owned() });
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_that_nobody_guesses() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let with = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read(&file)
        };
        assert_eq!(with("0123456789abcdef\n").unwrap(), "0123456789abcdef");
        assert!(matches!(with("0123456789abcde\n"), Err(TokenError::TooShort { .. })));
        assert!(matches!(with(""), Err(TokenError::TooShort { .. })));
        assert!(matches!(with("0123456789abcdef\nanother\n"), Err(TokenError::Unfit { .. })));
        assert!(matches!(with("\u{feff}0123456789abcdef"), Err(TokenError::Unfit { .. })));
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(read(&file), Err(TokenError::Unreadable { .. })));
    }

    #[test]
    fn a_refusal_names_the_file_and_a_way_out_and_not_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let config = |token_file| ControlConfig { listen, token_file };
        assert!(check(&config(None)).is_ok());
        for text in [None, Some("hush"), Some("hush, this is no token")] {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let said = check(&config(Some(file.clone()))).unwrap_err().to_string();
            assert!(said.contains(&file.display().to_string()), "{said}");
            assert!(said.contains("openssl rand -hex 32"), "{said}");
            assert!(!said.contains("hush"), "{said}");
        }
        std::fs::write(&file, "0123456789abcdef").unwrap();
        assert!(check(&config(Some(file))).is_ok());
    }
}
