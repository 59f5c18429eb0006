//! From bytes to belief.

use std::ops::Deref;

use super::fields::At;
use super::{Manifest, ManifestError, ManifestReason, Signature, read};
use crate::json::{self, Limits, Value};
use crate::names::KeyId;
use crate::signing::{self, VerifyingKey};

/// A manifest whose JSON is strict and whose signature, if there is one, is well-formed. Nothing
/// else about it is known or can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct UnverifiedManifest {
    /// The document without `signatures.signature`: what is signed.
    body: Value,
    signature: Option<Signature>,
}

impl UnverifiedManifest {
    /// Reads the bytes once and whole.
    ///
    /// # Errors
    /// Whatever is not strict JSON within the limits, a document that is not an object, and a
    /// `signatures` that is not a key id and an encoded signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut body = json::parse(bytes, &Limits::MANIFEST)?;
        let signature = read_signature(&body)?;
        if let Value::Object(members) = &mut body {
            for (key, value) in members {
                if let ("signatures", Value::Object(fields)) = (key.as_str(), value) {
                    fields.retain(|(field, _)| field != "signature");
                }
            }
        }
        Ok(Self { body, signature })
    }

    /// The key it says it is signed with.
    pub fn key_id(&self) -> Option<&KeyId> {
        self.signature.as_ref().map(|signature| &signature.key_id)
    }

    /// The bytes that are signed: the DSSE pre-authentication encoding of the canonical document
    /// without `signatures.signature` (`runtime-spec/signing.md`).
    pub fn payload(&self) -> Vec<u8> {
        signing::pae(&json::jcs::canonical(&self.body))
    }

    /// Checks the signature and, only then, everything else.
    ///
    /// # Errors
    /// No signature, one that does not hold under `key`, or any rule of the schema.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Verified<Manifest>, ManifestError> {
        let Some(signature) = &self.signature else {
            return Err(ManifestError::at("/signatures", ManifestReason::Unsigned));
        };
        if !key.verify(&self.payload(), &signature.signature_b64) {
            let key_id = signature.key_id.to_string();
            let reason = ManifestReason::SignatureMismatch { key_id };
            return Err(ManifestError::at("/signatures/signature", reason));
        }
        let value = read::manifest(&self.body, self.signature.clone())?;
        Ok(Verified {
            value,
            signer: Some(signature.key_id.clone()),
        })
    }

    /// Takes it without a signature, or without asking for the one it has: only where the node's
    /// policy or the developer's `--insecure-unsigned` says so. Every rule of the schema is checked
    /// all the same.
    ///
    /// # Errors
    /// Any rule of the schema.
    pub fn accept_unsigned(&self) -> Result<Verified<Manifest>, ManifestError> {
        let value = read::manifest(&self.body, self.signature.clone())?;
        Ok(Verified {
            value,
            signer: None,
        })
    }
}

fn read_signature(document: &Value) -> Result<Option<Signature>, ManifestError> {
    let root = At::root(document);
    root.object()?;
    let Some(signatures) = root.optional("signatures") else {
        return Ok(None);
    };
    signatures.only(&["key_id", "signature"])?;
    let key_id = signatures.required("key_id")?.parsed()?;
    let signature = signatures.required("signature")?;
    let signature_b64 = signature.text()?.to_owned();
    if !signing::is_well_formed(&signature_b64) {
        return Err(signature.error(ManifestReason::SignatureEncoding));
    }
    Ok(Some(Signature {
        key_id,
        signature_b64,
    }))
}

/// A value that may be believed: its signature held, or the node accepts unsigned ones. Only
/// [`UnverifiedManifest`] makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<T> {
    value: T,
    signer: Option<KeyId>,
}

impl<T> Verified<T> {
    /// The key whose signature held; none where it was accepted unsigned.
    pub fn signer(&self) -> Option<&KeyId> {
        self.signer.as_ref()
    }

    /// The value alone, which no longer says that it was verified.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
