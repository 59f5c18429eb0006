//! Just enough of JSON Schema 2020-12 for `manifest.schema.json`: a keyword that is not known here
//! fails the test rather than being passed over.

use regex::Regex;
use serde_json::Value;

/// What is wrong with `document` under `schema`.
pub fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, schema, document, "", &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "$comment" | "examples"
            | "properties" | "patternProperties" => true,
            "$ref" => {
                let target = root
                    .pointer(rule.as_str().unwrap().strip_prefix('#').unwrap())
                    .unwrap();
                check(root, target, value, at, faults);
                true
            }
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                other => panic!("unknown type {other}"),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "not" => {
                let mut inner = Vec::new();
                check(root, rule, value, at, &mut inner);
                !inner.is_empty()
            }
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|key| value.get(key.as_str().unwrap()).is_some()),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "maxProperties" => value
                .as_object()
                .is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
            "uniqueItems" => value.as_array().is_none_or(|items| {
                items
                    .iter()
                    .enumerate()
                    .all(|(index, item)| !items[..index].contains(item))
            }),
            "pattern" => value
                .as_str()
                .is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                items.for_each(|(index, item)| {
                    check(root, rule, item, &format!("{at}/{index}"), faults)
                });
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, false, "only additionalProperties: false");
                true
            }
            other => panic!("unknown keyword {other}"),
        };
        if !holds {
            faults.push(format!("{at}: {keyword}"));
        }
    }
    for (key, member) in value.as_object().into_iter().flatten() {
        let place = format!("{at}/{key}");
        let property = schema
            .get("properties")
            .and_then(|properties| properties.get(key));
        let patterns = schema
            .get("patternProperties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let matching = patterns
            .filter(|(pattern, _)| Regex::new(pattern).unwrap().is_match(key))
            .map(|(_, rule)| rule);
        let rules: Vec<_> = property.into_iter().chain(matching).collect();
        if rules.is_empty() && schema.get("additionalProperties").is_some() {
            faults.push(format!("{place}: additionalProperties"));
        }
        rules
            .into_iter()
            .for_each(|rule| check(root, rule, member, &place, faults));
    }
}
