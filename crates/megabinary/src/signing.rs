//! Signatures: ECDSA P-256 with SHA-256 over the DSSE pre-authentication encoding
//! (`runtime-spec/signing.md`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, Signature};
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    LineEnding,
};

use crate::limits;

/// Type in the pre-authentication encoding: a signature of a manifest is of nothing else.
pub const PAYLOAD_TYPE: &str = "application/vnd.megarun.manifest.v1+json";

/// DSSE v1 pre-authentication encoding of `body` with [`PAYLOAD_TYPE`].
pub fn pae(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} ",
        PAYLOAD_TYPE.len(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Whether a text is a signature in form: strict base64 of a DER ECDSA P-256 signature.
pub fn is_well_formed(signature_b64: &str) -> bool {
    decode(signature_b64).is_some()
}

fn decode(signature_b64: &str) -> Option<Signature> {
    if signature_b64.len() > limits::SIGNATURE_CHARS {
        return None;
    }
    Signature::from_der(&STANDARD.decode(signature_b64).ok()?).ok()
}

/// Why a file is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a private key.
    #[error(
        "not an ECDSA P-256 private key in PKCS#8 PEM: make one with `megabin keygen --key-id ID --out DIR`"
    )]
    Private,
    /// Not a public key.
    #[error(
        "not an ECDSA P-256 public key in SPKI PEM: the `.pem` file that `megabin keygen` wrote is one"
    )]
    Public,
}

impl KeyError {
    /// The stable id of this error in the test vectors.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Private => "key.private",
            Self::Public => "key.public",
        }
    }
}

/// A private key. Its bytes are wiped when it is dropped; `Debug` does not show them.
#[derive(Clone)]
pub struct SigningKey(p256::ecdsa::SigningKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// A key from 32 bytes of a cryptographic random source, which the caller reads: this crate does
    /// no I/O. None for the few values (one in 2^32) that are not a key; draw again.
    pub fn from_random(bytes: &[u8; 32]) -> Option<Self> {
        p256::ecdsa::SigningKey::from_slice(bytes).ok().map(Self)
    }

    /// Reads PKCS#8 PEM.
    ///
    /// # Errors
    /// Anything else, also a key of another curve.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = p256::ecdsa::SigningKey::from_pkcs8_pem(pem);
        key.map(Self).map_err(|_| KeyError::Private)
    }

    /// Writes PKCS#8 PEM. The text is wiped when it is dropped.
    pub fn to_pem(&self) -> impl std::ops::Deref<Target = String> + use<> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF);
        pem.expect("a P-256 key has a PKCS#8 encoding of fixed size")
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(*self.0.verifying_key())
    }

    /// Signs `payload` (RFC 6979: the same key and payload give the same signature); DER, base64.
    pub fn sign(&self, payload: &[u8]) -> String {
        let signature: DerSignature = self.0.sign(payload);
        STANDARD.encode(signature.as_bytes())
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(p256::ecdsa::VerifyingKey);

impl VerifyingKey {
    /// Reads SPKI PEM.
    ///
    /// # Errors
    /// Anything else, also a key of another curve and a point that is not on the curve.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = p256::ecdsa::VerifyingKey::from_public_key_pem(pem);
        key.map(Self).map_err(|_| KeyError::Public)
    }

    /// Writes SPKI PEM.
    pub fn to_pem(&self) -> String {
        let pem = self.0.to_public_key_pem(LineEnding::LF);
        pem.expect("a P-256 key has an SPKI encoding of fixed size")
    }

    /// Whether a base64 DER signature of `payload` holds; false too for one that is no signature.
    pub fn verify(&self, payload: &[u8], signature_b64: &str) -> bool {
        decode(signature_b64).is_some_and(|signature| self.0.verify(payload, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_random(&[7; 32]).expect("a valid scalar")
    }

    #[test]
    fn the_encoding_is_that_of_dsse() {
        let expected = b"DSSEv1 40 application/vnd.megarun.manifest.v1+json 2 {}";
        assert_eq!(pae(b"{}"), expected);
    }

    #[test]
    fn a_signature_holds_for_its_payload_and_key_only() {
        let signature = key().sign(b"payload");
        assert_eq!(
            signature,
            key().sign(b"payload"),
            "signing is deterministic"
        );
        let public = key().verifying_key();
        assert!(public.verify(b"payload", &signature));
        assert!(!public.verify(b"payloae", &signature));
        let other = SigningKey::from_random(&[8; 32]).expect("a valid scalar");
        assert!(!other.verifying_key().verify(b"payload", &signature));
    }

    #[test]
    fn only_strict_base64_of_der_is_a_signature() {
        let good = key().sign(b"payload");
        assert!(is_well_formed(&good));
        let raw: Signature = key().0.sign(b"payload");
        for bad in [
            String::new(),
            "AAAA".into(),
            good.trim_end_matches('=').to_owned() + "A",
            format!("{good}\n"),
            format!(" {good}"),
            STANDARD.encode(raw.to_bytes()),
            STANDARD.encode([0x30, 6, 2, 1, 0, 2, 1, 0]),
            "A".repeat(1000),
        ] {
            assert!(!is_well_formed(&bad), "{bad:?}");
        }
    }

    #[test]
    fn keys_round_trip_as_pem_and_do_not_show_themselves() {
        let pem = key().to_pem();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        let again = SigningKey::from_pem(&pem).expect("just written");
        assert_eq!(again.verifying_key(), key().verifying_key());
        let public = key().verifying_key().to_pem();
        assert!(public.starts_with("-----BEGIN PUBLIC KEY-----"));
        assert_eq!(VerifyingKey::from_pem(&public), Ok(key().verifying_key()));
        assert_eq!(format!("{:?}", key()), "SigningKey(..)");
        assert_eq!(
            VerifyingKey::from_pem(&pem).map_err(|e| e.id()),
            Err("key.public")
        );
        assert_eq!(
            SigningKey::from_pem(&public).map_err(|e| e.id()).err(),
            Some("key.private")
        );
        assert!(
            SigningKey::from_random(&[0; 32]).is_none()
                && SigningKey::from_random(&[255; 32]).is_none()
        );
    }
}
