//! Standard Webhooks 1.0.0 signatures (symmetric, `v1`): the runbook can tell that a request is
//! ours, whole and fresh. <https://github.com/standard-webhooks/standard-webhooks>

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Base64 as people paste it: with or without its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signing secret: 24 to 64 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl SigningSecret {
    /// Reads `whsec_` and base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// What is wrong with it, without the secret.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded =
            text.strip_prefix("whsec_").ok_or("a signing secret begins with \"whsec_\"")?;
        let bytes = LENIENT.decode(encoded).map_err(|_| "a signing secret is base64")?;
        if !(24..=64).contains(&bytes.len()) {
            return Err("a signing secret holds 24 to 64 bytes");
        }
        Ok(Self(bytes))
    }

    /// `v1,` and the signature of exactly these bytes.
    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
        // HMAC takes keys of any length; the type cannot say so.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp}.").as_bytes());
        mac.update(body);
        let code = general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        Some(format!("v1,{code}"))
    }
}

/// The value of `webhook-signature`: one signature for each secret, so that a runbook that knows
/// the old or the new one accepts it while they are rotated.
pub fn signatures(secrets: &[SigningSecret], id: &str, timestamp: u64, body: &[u8]) -> String {
    let all: Vec<_> = secrets.iter().filter_map(|s| s.sign(id, timestamp, body)).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(text).unwrap()
    }

    /// The vectors of the reference libraries.
    #[test]
    fn agrees_with_the_reference_libraries() {
        let one = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(
            signatures(
                &[one],
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        let two = secret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        assert_eq!(
            signatures(
                &[two],
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                br#"{"email":"test@example.com","username":"test_user"}"#
            ),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn every_secret_signs_while_they_are_rotated() {
        let old = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let new = secret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let both = signatures(&[new.clone(), old.clone()], "id", 1, b"body");
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, signatures(&[new], "id", 1, b"body"));
        assert_eq!(second, signatures(&[old], "id", 1, b"body"));
    }

    #[test]
    fn id_time_and_body_are_all_covered() {
        let key = [secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        let base = signatures(&key, "id", 1, b"body");
        assert_ne!(base, signatures(&key, "id2", 1, b"body"));
        assert_ne!(base, signatures(&key, "id", 2, b"body"));
        assert_ne!(base, signatures(&key, "id", 1, b"body "));
    }

    #[test]
    fn a_bad_secret_is_refused_without_being_shown() {
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_???", "whsec_c2hvcnQ=", "whsec_"] {
            let problem = SigningSecret::parse(bad).unwrap_err();
            assert!(!problem.contains("MfKQ9") && !problem.contains("c2hv"), "{problem}");
        }
        let good = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(format!("{good:?}"), "***");
    }
}
