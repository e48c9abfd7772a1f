//! `docs/command-protocol.schema.json` against the messages that are really written and read.

use std::collections::BTreeSet;
use std::path::Path;

use mambafleet_backend::{Decay, ModelConfig, Objective, OptimizerConfig};
use mambafleet_protocol::{ModelSpec, ReturnsSpec, ScheduleSpec, SeriesSpec, TaskSpec, TrainSpec};
use serde_json::{Value, json};

use crate::message::{Job, Line, Request, decode, encode};

/// A schema, of which no more is understood than this one uses.
struct Schema(Value);

impl Schema {
    fn read() -> Self {
        let text = include_str!("../../../docs/command-protocol.schema.json");
        Self(serde_json::from_str(text).unwrap())
    }

    /// Whether `value` is what a definition says. `strict`ly, it has no member that is not named.
    fn accepts(&self, definition: &str, value: &Value, strict: bool) -> bool {
        self.fits(&json!({"$ref": format!("#/$defs/{definition}")}), value, strict)
    }

    fn fits(&self, schema: &Value, value: &Value, strict: bool) -> bool {
        schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
            "description" => true,
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                self.fits(self.0.pointer(pointer).unwrap(), value, strict)
            }
            "anyOf" => list(rule).iter().any(|schema| self.fits(schema, value, strict)),
            "enum" => list(rule).contains(value),
            "const" => rule == value,
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| is(value, name)),
                name => is(value, name),
            },
            "minimum" => value.as_f64().is_none_or(|value| value >= rule.as_f64().unwrap()),
            "items" => list(value).iter().all(|item| self.fits(rule, item, strict)),
            "required" => list(rule).iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => value.as_object().is_none_or(|members| {
                members.iter().all(|(name, value)| match rule.get(name) {
                    Some(schema) => self.fits(schema, value, strict),
                    None => !strict,
                })
            }),
            other => panic!("what is {other}?"),
        })
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("what is {other}?"),
    }
}

/// Every request there is.
fn requests() -> Vec<Value> {
    let spec =
        ModelSpec { d_model: 32, n_layers: 2, d_state: 16, d_conv: 4, expand: 2, dt_rank: 2 };
    let levels = vec![0.25, 0.5, 0.75];
    let task = TaskSpec::Returns(ReturnsSpec {
        features: vec!["log_return".into()],
        lookback: 32,
        horizons: vec![1, 5],
        quantiles: levels.clone(),
        ..ReturnsSpec::usual()
    });
    let objectives = [
        (Objective::Pinball { horizons: 2, levels }, task),
        (Objective::Mse { targets: 2 }, SeriesSpec::usual().into()),
    ];
    let schedules = [ScheduleSpec::Cosine, ScheduleSpec::OneCycle, ScheduleSpec::Constant];
    let path = Path::new("/tmp/x");
    let mut lines = Vec::new();
    for (objective, task) in objectives {
        let model = ModelConfig { spec, n_features: 1, seq_len: 32, objective };
        for (schedule, decay) in schedules.iter().zip([Decay::Matrices, Decay::All].iter().cycle())
        {
            let usual = TrainSpec::usual("command");
            let train = TrainSpec { schedule: *schedule, seed: u64::MAX, ..usual };
            let optimizer = OptimizerConfig { decay: *decay, ..OptimizerConfig::from(&train) };
            let job = Job {
                symbol: &"BRK.B".parse().unwrap(),
                run: &"20261123-083925-616-b413".parse().unwrap(),
                attempt: 1,
                threads: 1,
                task: &task,
                model: &model,
                train: &train,
                optimizer: &optimizer,
            };
            let init = (*schedule == ScheduleSpec::Constant).then_some(path);
            let train = Request::Train { windows: path, weights: path, staging: path, init, job };
            lines.push(encode(&train).unwrap());
        }
        let predict = Request::Predict {
            samples: 1,
            outputs: 6,
            threads: 1,
            weights: path,
            inputs: path,
            predictions: path,
            model: &model,
        };
        lines.push(encode(&predict).unwrap());
    }
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every answer there is, with all its members.
fn answers() -> Vec<Value> {
    let head = |kind: &str, more: Value| {
        let mut answer = json!({"mambafleet": 1, "type": kind});
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer
    };
    let mut answers = vec![
        head("hello", json!({"name": "train.py", "version": "3"})),
        head(
            "progress",
            json!({"epoch": 1, "train_loss": 0.5, "validation_loss": 0.25, "learning_rate": 1e-3}),
        ),
        head("done", json!({"best_epoch": 1, "metrics": {"anything": [1, "x", null]}})),
        head("predicted", json!({})),
    ];
    for kind in ["data", "diverged", "other"] {
        answers.push(head("error", json!({"kind": kind, "message": "why"})));
    }
    answers
}

/// A value with one member, however deep, without which or with another value it may be wrong.
fn variations(value: &Value) -> Vec<Value> {
    let Some(members) = value.as_object() else { return Vec::new() };
    let mut all = Vec::new();
    for (name, member) in members {
        let with = |other: Value| {
            let mut changed = members.clone();
            changed.insert(name.clone(), other);
            Value::Object(changed)
        };
        let mut without = members.clone();
        without.remove(name);
        all.push(Value::Object(without));
        let others =
            [json!(null), json!("x"), json!([]), json!({}), json!(0.5), json!(-1), json!(2)];
        all.extend(others.map(&with));
        all.extend(variations(member).into_iter().map(&with));
    }
    all
}

#[test]
fn requests_are_as_the_schema_says() {
    let schema = Schema::read();
    for request in requests() {
        assert!(schema.accepts("request", &request, true), "{request}");
        assert!(!schema.accepts("answer", &request, false), "{request}");
        // All that is written is required to be, but for weights to start from.
        let missing = variations(&request).into_iter().filter(|other| {
            members(other).len() < members(&request).len()
                && other.get("init") == request.get("init")
                && schema.accepts("request", other, false)
        });
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<Value>::new());
    }
}

/// The paths of all members.
fn members(value: &Value) -> BTreeSet<String> {
    let object = value.as_object().into_iter().flatten();
    let below = |(name, value): (&String, &Value)| {
        let deeper: Vec<_> = members(value).iter().map(|path| format!("{name}.{path}")).collect();
        deeper.into_iter().chain([name.clone()])
    };
    object.flat_map(below).collect()
}

#[test]
fn answers_are_read_as_the_schema_says() {
    let schema = Schema::read();
    let reads = |answer: &Value| matches!(decode(answer.to_string().as_bytes()), Line::Message(_));
    for answer in answers() {
        assert!(schema.accepts("answer", &answer, true) && reads(&answer), "{answer}");
        for other in variations(&answer) {
            assert_eq!(schema.accepts("answer", &other, false), reads(&other), "{other}");
        }
    }
}

#[test]
fn the_page_shows_messages_of_the_schema() {
    let page = include_str!("../../../docs/command-backend.md");
    let schema = Schema::read();
    let blocks: Vec<_> = page.split("```json\n").skip(1).collect();
    assert_eq!(blocks.len(), 7);
    for block in blocks {
        let text = block.split("```").next().unwrap();
        let mut message: Value = serde_json::from_str(text).unwrap();
        if message["model"] == json!({"...": "as in train"}) {
            message["model"] = requests()[0]["job"]["model"].clone();
        }
        let known = ["request", "answer"].iter().any(|kind| schema.accepts(kind, &message, true));
        assert!(known, "{message}");
    }
}
