//! A JSON schema of the configuration files, made from the known keys.

use serde_json::{Map, Value, json};

use super::file::INHERITS;
use super::keys::{GROUPS, Key, KnownKeys, PER_SYMBOL, PROFILE, SYMBOL};
use super::kind::Kind;
use super::{ConfigError, DEFAULT};

/// The schema, in JSON Schema 2020-12, as editors of TOML understand it.
pub(crate) fn json_schema() -> Result<Value, ConfigError> {
    let known = KnownKeys::of(DEFAULT)?;
    let mut definitions = tables(&known);
    let reference = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
    let all_of = |name: &str, description: &str| {
        json!({
            "type": "object",
            "description": description,
            "additionalProperties": reference(name),
        })
    };
    definitions.insert(
        GROUPS.to_owned(),
        json!({
            "type": "object",
            "description": "Names for lists of symbols, used as @NAME.",
            "additionalProperties": { "type": "array", "items": { "type": "string" } },
        }),
    );
    let mut general: Map<_, _> =
        definitions.keys().map(|table| (table.clone(), reference(table))).collect();
    let per_symbol = PER_SYMBOL.map(|table| (table.to_owned(), reference(table)));
    let described = "What holds for one symbol, or for an @group, alone.";
    general.insert(SYMBOL.to_owned(), all_of(SYMBOL, described));
    let mut profile = general.clone();
    profile.insert(
        INHERITS.to_owned(),
        json!({ "type": "string", "description": "The profile that this one builds on." }),
    );
    let described = "Named layers of configuration, each chosen with --profile NAME.";
    general.insert(PROFILE.to_owned(), all_of(PROFILE, described));
    definitions.insert(SYMBOL.to_owned(), object(per_symbol.into_iter().collect()));
    definitions.insert(PROFILE.to_owned(), object(profile));
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of mambafleet",
        "type": "object",
        "additionalProperties": false,
        "properties": general,
        "$defs": definitions,
    }))
}

fn object(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// The tables at the top, with all their keys.
fn tables(known: &KnownKeys) -> Map<String, Value> {
    let mut root = Map::new();
    for (path, key) in known.iter() {
        insert(&mut root, path, key);
    }
    for (path, description) in &known.tables {
        if let Some(Value::Object(table)) = root.get_mut(path) {
            table.insert("description".to_owned(), description.as_str().into());
        }
    }
    root
}

fn insert(properties: &mut Map<String, Value>, path: &str, key: &Key) {
    let Some((table, rest)) = path.split_once('.') else {
        properties.insert(path.to_owned(), described(key));
        return;
    };
    let inner = properties.entry(table).or_insert_with(|| object(Map::new()));
    if let Some(Value::Object(inner)) = inner.get_mut("properties") {
        insert(inner, rest, key);
    }
}

fn described(key: &Key) -> Value {
    let mut schema = of_kind(&key.kind);
    if let Value::Object(schema) = &mut schema {
        if !key.description.is_empty() {
            schema.insert("description".to_owned(), key.description.clone().into());
        }
        if let Ok(default) = serde_json::to_value(&key.default) {
            schema.insert("default".to_owned(), default);
        }
    }
    schema
}

fn of_kind(kind: &Kind) -> Value {
    const DURATION: &str = r"^\s*(\+?[0-9.]+\s*[A-Za-zµ]+,?\s*)+$";
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Whole => json!({ "type": "integer", "minimum": 0 }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Duration => json!({ "type": "string", "pattern": DURATION }),
        Kind::DurationOrAuto => json!({
            "type": "string",
            "anyOf": [{ "const": "auto" }, { "pattern": DURATION }],
        }),
        Kind::DurationOrNone => json!({
            "type": "string",
            "anyOf": [{ "const": "none" }, { "pattern": DURATION }],
        }),
        Kind::SizeOrNone => json!({
            "type": "string",
            "anyOf": [{ "const": "none" }, { "pattern": r"^\s*[0-9.]+\s*([kKmMgGtT][iI]?)?[bB]\s*$" }],
        }),
        Kind::Deadline => json!({
            "type": "string",
            "anyOf": [
                { "const": "none" },
                { "pattern": r"^[0-9]{1,2}:[0-9]{1,2}$" },
                { "pattern": DURATION },
            ],
        }),
        Kind::WholeOrAuto => json!({
            "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1 }],
        }),
        Kind::WordOrWhole(word) => json!({
            "anyOf": [{ "const": word }, { "type": "integer", "minimum": 0 }],
        }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::List(items) => json!({ "type": "array", "items": of_kind(items) }),
    }
}
