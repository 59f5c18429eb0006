//! Keys, signatures, signed bytes and trust.

use megabinary::manifest::UnverifiedManifest;
use serde_json::{Value, json};

use crate::manifest_vectors::full;
use crate::support::manifests;
use crate::vector::Vectors;

const KEY: &str = "keys/test.pem";

pub fn add(vectors: &mut Vectors) {
    keys(vectors);
    signatures(vectors);
    trust(vectors);
}

fn keys(vectors: &mut Vectors) {
    let (key, other) = (manifests::key(), manifests::other_key());
    vectors.add(
        "public-key",
        KEY,
        None,
        "SPKI PEM",
        key.verifying_key().to_pem().into(),
    );
    vectors.add(
        "public-key",
        "keys/other.pem",
        None,
        "SPKI PEM",
        other.verifying_key().to_pem().into(),
    );
    let private = key.to_pem().as_bytes().to_vec();
    vectors.add(
        "private-key",
        "keys/test.key",
        None,
        "PKCS#8 PEM; published, so never to be trusted",
        private,
    );
    vectors.entry(
        "public-key",
        "keys/test.key",
        Some("key.public"),
        "a private key is no public one",
    );
    vectors.entry(
        "private-key",
        KEY,
        Some("key.private"),
        "a public key is no private one",
    );
    let p384 = "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEdakIWIfxpIajiJLoYbJVgM5T4pZS5KGR\nKgpVbDtCHPwAR/9xbgEDWqwYTNfHN8urN7ekNvgh/6R0adsV4JwxRPmUhiM2dQIK\nOn0QHEmJnY1mmex8szf0crTe+k+Et4ew\n-----END PUBLIC KEY-----\n";
    vectors.add(
        "public-key",
        "keys/p384.pem",
        Some("key.public"),
        "a key of another curve",
        p384.into(),
    );
}

fn signatures(vectors: &mut Vectors) {
    let signed = manifests::sign(&full(), "test", &manifests::key());
    let mut add = |file: &str, error: Option<&str>, rule: &str, change: &dyn Fn(&mut Value)| {
        let mut value = signed.clone();
        change(&mut value);
        let file = format!("signature/{file}.json");
        vectors
            .add("signature", &file, error, rule, manifests::bytes(&value))
            .with("key", KEY);
    };
    add("signed", None, "a signature that holds", &|_| ());
    add(
        "unsigned",
        Some("signature.missing"),
        "no signature",
        &|m| {
            m.as_object_mut().unwrap().remove("signatures");
        },
    );
    add(
        "changed-value",
        Some("signature.mismatch"),
        "a value changed after signing",
        &|m| m["version"] = "1.1".into(),
    );
    add(
        "changed-key-id",
        Some("signature.mismatch"),
        "the key id is signed too",
        &|m| m["signatures"]["key_id"] = "other".into(),
    );
    add(
        "changed-unknown-field",
        Some("signature.mismatch"),
        "the signature is checked before the schema",
        &|m| m["extra"] = 1.into(),
    );
    add(
        "not-base64",
        Some("signature.encoding"),
        "not base64",
        &|m| m["signatures"]["signature"] = "!".into(),
    );
    add(
        "not-der",
        Some("signature.encoding"),
        "64 bytes of r and s instead of DER",
        &|m| {
            m["signatures"]["signature"] = format!("{}==", "A".repeat(86)).into();
        },
    );
    add(
        "signed-bad-schema",
        Some("manifest.unknown-word"),
        "a signature does not excuse the schema",
        &|m| {
            m["global_policies"]["networking"] = "full".into();
            *m = manifests::sign(m, "test", &manifests::key());
        },
    );
    let rule = "signed with another key of the same id";
    let other = manifests::sign(&full(), "test", &manifests::other_key());
    vectors
        .add(
            "signature",
            "signature/other-key.json",
            Some("signature.mismatch"),
            rule,
            manifests::bytes(&other),
        )
        .with("key", KEY);
    let payload = UnverifiedManifest::parse(&manifests::bytes(&signed))
        .unwrap()
        .payload();
    vectors
        .entry(
            "payload",
            "signature/signed.json",
            None,
            "the bytes that are signed",
        )
        .with("output", "signature/signed.payload");
    vectors
        .files
        .insert("signature/signed.payload".into(), payload);
}

fn trust(vectors: &mut Vectors) {
    let mut unnamed = full();
    unnamed.as_object_mut().unwrap().remove("name");
    let unnamed = manifests::bytes(&manifests::sign(&unnamed, "test", &manifests::key()));
    vectors
        .add(
            "signature",
            "signature/unnamed.json",
            None,
            "a manifest without a name",
            unnamed,
        )
        .with("key", KEY);
    let id = full()["container_id"].clone();
    let (signed, unsigned) = ("signature/signed.json", "signature/unsigned.json");
    let mut add = |file: &str, error: Option<&str>, rule: &str, change: &dyn Fn(&mut Value)| {
        let mut policy = json!({
            "require_signature": true, "keys": [{"id": "test", "file": KEY, "names": []}],
            "floors": {}, "revoked_keys": [], "revoked_ids": []
        });
        change(&mut policy);
        vectors
            .entry("trust", file, error, rule)
            .with("policy", policy);
    };
    let as_is: &dyn Fn(&mut Value) = &|_| ();
    add(signed, None, "signed with a trusted key", as_is);
    add(
        unsigned,
        Some("trust.unsigned"),
        "a signature is required",
        as_is,
    );
    add(unsigned, None, "no signature is required", &|p| {
        p["require_signature"] = false.into()
    });
    add(signed, Some("trust.unknown-key"), "an unknown key", &|p| {
        p["keys"] = json!([])
    });
    add(
        signed,
        Some("trust.unknown-key"),
        "a signature that is there must hold even where none is required",
        &|p| {
            p["keys"] = json!([]);
            p["require_signature"] = false.into();
        },
    );
    add(
        signed,
        Some("signature.mismatch"),
        "the key of that id is another one",
        &|p| p["keys"][0]["file"] = "keys/other.pem".into(),
    );
    add(signed, Some("trust.revoked-key"), "a revoked key", &|p| {
        p["revoked_keys"] = json!(["test"])
    });
    add(
        signed,
        Some("trust.revoked-id"),
        "a revoked container",
        &|p| p["revoked_ids"] = json!([id]),
    );
    add(
        unsigned,
        Some("trust.revoked-id"),
        "a revoked container, unsigned",
        &|p| {
            p["require_signature"] = false.into();
            p["revoked_ids"] = json!([id]);
        },
    );
    add(signed, None, "a key for names that fit", &|p| {
        p["keys"][0]["names"] = json!(["example.com/*", "t*box"])
    });
    add(
        signed,
        Some("trust.key-not-for-name"),
        "a key for other names",
        &|p| p["keys"][0]["names"] = json!(["example.com/*", "tool"]),
    );
    add(
        "signature/unnamed.json",
        None,
        "a key for all names signs a container without one",
        as_is,
    );
    add(
        "signature/unnamed.json",
        Some("trust.key-not-for-name"),
        "a container without a name fits no pattern",
        &|p| p["keys"][0]["names"] = json!(["*"]),
    );
    add(
        "signature/unnamed.json",
        Some("trust.unnamed"),
        "floors need a name",
        &|p| p["floors"] = json!({"other": "1"}),
    );
    add(signed, None, "at the floor", &|p| {
        p["floors"] = json!({"toolbox": "1.0.0"})
    });
    add(
        signed,
        Some("trust.below-floor"),
        "below the floor, compared by number",
        &|p| p["floors"] = json!({"toolbox": "1.0.1"}),
    );
}
