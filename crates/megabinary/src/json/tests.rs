use super::*;

fn read(text: &str) -> Result<Value, JsonError> {
    parse(text.as_bytes(), &Limits::MANIFEST)
}

/// Asserts the error's id and pointer.
fn refused(bytes: &[u8], id: &str, pointer: &str) {
    let error = parse(bytes, &Limits::MANIFEST).expect_err("must be refused");
    assert_eq!(
        (error.reason.id(), error.pointer.as_str()),
        (id, pointer),
        "{error}"
    );
}

fn canonical(text: &str) -> String {
    let value = read(text).expect("valid JSON");
    String::from_utf8(jcs::canonical(&value)).expect("canonical JSON is UTF-8")
}

#[test]
fn each_fault_has_its_id_and_place() {
    refused(b"", "manifest.truncated", "");
    refused(b" \n", "manifest.truncated", "");
    refused(b"{\"a\":", "manifest.truncated", "/a");
    refused(b"{\"a\":1", "manifest.truncated", "");
    refused(b"[1,2", "manifest.truncated", "");
    refused(b"\"abc", "manifest.truncated", "");
    refused(b"\"\\u12", "manifest.truncated", "");
    refused(b"\"\\", "manifest.truncated", "");
    refused(b"{\"a\":1}x", "manifest.trailing", "");
    refused(b"{}{}", "manifest.trailing", "");
    refused(b"\xff", "manifest.utf8", "");
    refused(b"{\"a\":\"\xed\xa0\x80\"}", "manifest.utf8", "");
    refused(b"\xc0\x80", "manifest.utf8", "");
    refused(b"\xef\xbb\xbf{}", "manifest.byte-order-mark", "");
    refused(
        b"{\"a\":[0,{\"b/~\":1,\"b/~\":2}]}",
        "manifest.duplicate-key",
        "/a/1/b~1~0",
    );
    refused(b"{\"a\":1,\"\\u0061\":2}", "manifest.duplicate-key", "/a");
    refused(b"[1,]", "manifest.syntax", "/1");
    refused(b"{\"a\":1,}", "manifest.syntax", "");
    refused(b"{a:1}", "manifest.syntax", "");
    refused(b"{\"a\" 1}", "manifest.syntax", "/a");
    refused(b"[1 2]", "manifest.syntax", "");
    refused(b"// no\n{}", "manifest.syntax", "");
    refused(b"[tru]", "manifest.syntax", "/0");
    refused(b"[NaN]", "manifest.syntax", "/0");
    refused(b"[\"a\x01\"]", "manifest.control-character", "/0");
    refused(b"[\"a\nb\"]", "manifest.control-character", "/0");
    refused(b"[\"\\x41\"]", "manifest.escape", "/0");
    refused(b"[\"\\u00g0\"]", "manifest.escape", "/0");
    refused(b"[\"\\u+123\"]", "manifest.escape", "/0");
    refused(b"[\"\\ud800\"]", "manifest.lone-surrogate", "/0");
    refused(b"[\"\\udc00\\ud800\"]", "manifest.lone-surrogate", "/0");
    refused(b"[\"\\ud800\\u0041\"]", "manifest.lone-surrogate", "/0");
    refused(b"[\"\\ud800abcdef\"]", "manifest.lone-surrogate", "/0");
    for number in [
        "01", "-", "1.", ".5", "1e", "1e+", "+1", "--1", "1.e1", "0x10", "-01", "1-2",
    ] {
        let id = if number.starts_with(['.', '+']) || number == "0x10" {
            "manifest.syntax"
        } else {
            "manifest.number-syntax"
        };
        let error = read(&format!("[{number}]")).expect_err(number);
        assert_eq!(error.reason.id(), id, "{number}");
    }
    for number in [
        "9007199254740992",
        "-9007199254740992",
        "1e16",
        "1e999",
        "9007199254740993.0",
        "99999999999999999999999999",
    ] {
        refused(
            format!("[0,{number}]").as_bytes(),
            "manifest.unsafe-number",
            "/1",
        );
    }
}

#[test]
fn limits_hold_at_their_edge() {
    let limits = Limits {
        bytes: 40,
        depth: 3,
        values: 5,
        string_bytes: 4,
    };
    let id = |text: &str| parse(text.as_bytes(), &limits).map_err(|error| error.reason.id());
    assert!(id("[[[1]]]").is_ok());
    assert_eq!(id("[[[[]]]]"), Err("manifest.depth"));
    assert!(id("[1,2,3,4]").is_ok());
    assert_eq!(id("[1,2,3,4,5]"), Err("manifest.values"));
    assert!(id("\"abcd\"").is_ok() && id("\"ab\\n\\n\"").is_ok());
    assert_eq!(id("\"abcde\""), Err("manifest.string-length"));
    assert_eq!(id("{\"abcde\":1}"), Err("manifest.string-length"));
    assert!(id(&format!("1{}", " ".repeat(39))).is_ok());
    assert_eq!(
        id(&format!("1{}", " ".repeat(40))),
        Err("manifest.too-large")
    );
}

#[test]
fn deep_nesting_is_refused_without_using_the_stack() {
    let text = "[".repeat(10_000_000);
    refused(
        text.as_bytes(),
        "manifest.depth",
        &"/0".repeat(limits::JSON_DEPTH),
    );
}

/// A duplicate is found in a large object as in a small one, and large objects are not slow.
#[test]
fn large_objects_are_checked_for_duplicates() {
    let members: Vec<_> = (0..200_000).map(|n| format!("\"k{n}\":0")).collect();
    let object = format!("{{{}}}", members.join(","));
    assert!(read(&object).is_ok());
    for duplicate in ["k0", "k15", "k16", "k17", "k199999"] {
        let text = format!("{{{},\"{duplicate}\":0}}", members.join(","));
        refused(
            text.as_bytes(),
            "manifest.duplicate-key",
            &format!("/{duplicate}"),
        );
    }
}

#[test]
fn values_are_read_as_they_are_written() {
    let value = read(" {\"b\" : [ null , true,false, -0, 12, 1.50, 2E-3 ] , \"a\":\"\\ud83d\\ude00\\/\\u00e9\" }\r\n").expect("valid");
    assert_eq!(
        value,
        Value::Object(vec![
            (
                "b".into(),
                Value::Array(vec![
                    Value::Null,
                    Value::Bool(true),
                    Value::Bool(false),
                    Value::Int(0),
                    Value::Int(12),
                    Value::Number(1.5),
                    Value::Number(0.002),
                ])
            ),
            ("a".into(), Value::String("😀/é".into())),
        ])
    );
    assert_eq!(read("9007199254740991"), Ok(Value::Int(MAX_SAFE_INTEGER)));
    assert_eq!(read("-9007199254740991"), Ok(Value::Int(-MAX_SAFE_INTEGER)));
    assert_eq!(value.get("a").and_then(Value::as_str), Some("😀/é"));
}

/// RFC 8785, section 3.2.3 (order) and 3.2.2 (strings and numbers).
#[test]
fn canonical_form_is_that_of_rfc_8785() {
    assert_eq!(
        canonical(
            "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\",\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}"
        ),
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
    );
    assert_eq!(
        canonical(
            "{\"numbers\":[333333333.33333329,4.50,2e-3,0.000000000000000000000000001,1E3],\"string\":\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\"literals\":[null,true,false]}"
        ),
        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,4.5,0.002,1e-27,1000],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
    );
    assert_eq!(
        canonical("[ -0, -0.0, 1.0, \"\\u007f\\b\\f\\t\" ]"),
        "[0,0,1,\"\u{7f}\\b\\f\\t\"]"
    );
}

/// RFC 8785, appendix B.
#[test]
fn numbers_are_written_as_ecmascript_does() {
    for (bits, text) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        assert_eq!(
            jcs::canonical_number(f64::from_bits(bits)),
            text,
            "{bits:016x}"
        );
    }
    assert_eq!(jcs::canonical_number(f64::NAN), "null");
    assert_eq!(jcs::canonical_number(-0.000_003_5), "-0.0000035");
}

#[test]
fn pretty_text_reads_back_as_the_same_value() {
    let value =
        read("{\"b\":[],\"a\":{},\"c\":[1,\"x\",null],\"d\":[{\"e\":[[2.5]]}]}").expect("valid");
    let text = pretty(&value);
    assert_eq!(parse(&text, &Limits::MANIFEST), Ok(value));
    assert_eq!(
        String::from_utf8(text).expect("UTF-8"),
        "{\n  \"b\": [],\n  \"a\": {},\n  \"c\": [1, \"x\", null],\n  \"d\": [\n    {\n      \"e\": [\n        [2.5]\n      ]\n    }\n  ]\n}\n"
    );
}
