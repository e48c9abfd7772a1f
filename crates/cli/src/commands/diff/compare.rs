//! Two JSON values, leaf by leaf.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// What happened to something from one generation to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    Added,
    Removed,
    Changed,
}

/// A leaf that is not the same on both sides.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    pub(super) key: String,
    pub(super) change: Change,
    pub(super) a: Option<Value>,
    pub(super) b: Option<Value>,
    /// `b - a`, of numbers.
    pub(super) difference: Option<Value>,
    /// `b / a`, of numbers, unless `a` is zero.
    pub(super) ratio: Option<f64>,
}

/// Every leaf that is not the same, in the order of the keys. A side that is not there at all has
/// no leaf.
pub(super) fn compare(a: Option<&Value>, b: Option<&Value>) -> Vec<Difference> {
    let side = |value: Option<&Value>| value.map(leaves).unwrap_or_default();
    let (mut a, mut b) = (side(a), side(b));
    let keys: BTreeSet<Key> = a.keys().chain(b.keys()).cloned().collect();
    keys.into_iter().filter_map(|key| difference(a.remove(&key), b.remove(&key), &key)).collect()
}

/// One step on the way to a leaf. Steps into a list are ordered by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Item(usize),
    Field(String),
}

type Key = Vec<Step>;

/// The leaves of a value by the way to them. An empty list or object is a leaf too.
fn leaves(value: &Value) -> BTreeMap<Key, Value> {
    let mut found = BTreeMap::new();
    walk(value, &mut Vec::new(), &mut found);
    found
}

fn walk(value: &Value, key: &mut Key, found: &mut BTreeMap<Key, Value>) {
    let mut step = |step, value: &Value| {
        key.push(step);
        walk(value, key, found);
        key.pop();
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| step(Step::Field(name.clone()), value));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(at, value)| step(Step::Item(at), value));
        }
        leaf => {
            found.insert(key.clone(), leaf.clone());
        }
    }
}

/// `test.horizons[0].rmse`; a name that holds other characters than identifiers do is quoted.
fn path(key: &Key) -> String {
    let mut path = String::new();
    for step in key {
        match step {
            Step::Item(at) => path += &format!("[{at}]"),
            Step::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
                if !name.is_empty() && name.chars().all(plain) {
                    path += name;
                } else {
                    path += &format!("{name:?}");
                }
            }
        }
    }
    path
}

fn difference(a: Option<Value>, b: Option<Value>, key: &Key) -> Option<Difference> {
    let change = match (&a, &b) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        (Some(a), Some(b)) if same(a, b) => return None,
        _ => Change::Changed,
    };
    let numbers = a.as_ref().zip(b.as_ref());
    let (difference, ratio) = (
        numbers.and_then(|(a, b)| subtract(a, b)),
        numbers.and_then(|(a, b)| ratio(a.as_f64()?, b.as_f64()?)),
    );
    Some(Difference { key: path(key), change, a, b, difference, ratio })
}

/// Whether two leaves say the same; 1 and 1.0 do.
fn same(a: &Value, b: &Value) -> bool {
    match (integer(a).zip(integer(b)), a.as_f64().zip(b.as_f64())) {
        (Some((a, b)), _) => a == b,
        (None, Some((a, b))) => a.partial_cmp(&b) == Some(Ordering::Equal),
        (None, None) => a == b,
    }
}

fn subtract(a: &Value, b: &Value) -> Option<Value> {
    if let Some((a, b)) = integer(a).zip(integer(b)) {
        let difference = b - a;
        let exact = i64::try_from(difference).map(Value::from);
        return Some(exact.unwrap_or_else(|_| Value::from(difference as f64)));
    }
    Some(Value::from(b.as_f64()? - a.as_f64()?))
}

fn ratio(a: f64, b: f64) -> Option<f64> {
    (a != 0.0).then(|| b / a)
}

fn integer(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `key: a -> b` for each difference.
    fn shown(a: &Value, b: &Value) -> Vec<String> {
        let text = |side: &Option<Value>| side.as_ref().map_or("-".to_owned(), Value::to_string);
        let line = |d: &Difference| format!("{}: {} -> {}", d.key, text(&d.a), text(&d.b));
        compare(Some(a), Some(b)).iter().map(line).collect()
    }

    #[test]
    fn leaves_are_compared_by_their_path() {
        let a = json!({"x": {"y": [1, 2], "gone": null}, "same": [{"z": "s"}], "a.b": 1});
        let b = json!({"x": {"y": [1, 3, 4]}, "same": [{"z": "s"}], "a.b": 2, "new": {}});
        let expected = [
            r#""a.b": 1 -> 2"#,
            "new: - -> {}",
            "x.gone: null -> -",
            "x.y[1]: 2 -> 3",
            "x.y[2]: - -> 4",
        ];
        assert_eq!(shown(&a, &b), expected);
        assert_eq!(shown(&a, &a), [""; 0]);
        assert_eq!(shown(&json!([]), &json!([1])), [": [] -> -", "[0]: - -> 1"]);
        assert_eq!(compare(Some(&json!({"x": 1})), None)[0].change, Change::Removed);
    }

    #[test]
    fn items_stand_in_the_order_of_their_numbers() {
        let list = |value: u64| Value::from(vec![value; 11]);
        let found = compare(Some(&list(1)), Some(&list(2)));
        let keys: Vec<_> = found.into_iter().map(|d| d.key).collect();
        assert_eq!((&*keys[2], &*keys[10]), ("[2]", "[10]"));
    }

    #[test]
    fn numbers_have_a_difference_and_a_ratio() {
        let of = |a: Value, b: Value| {
            let one = compare(Some(&a), Some(&b)).pop().unwrap();
            (one.difference, one.ratio)
        };
        assert_eq!(of(json!(10), json!(3)), (Some(json!(-7)), Some(0.3)));
        assert_eq!(of(json!(0.5), json!(2)), (Some(json!(1.5)), Some(4.0)));
        assert_eq!(of(json!(0), json!(2)), (Some(json!(2)), None));
        assert_eq!(of(json!(1), json!("1")), (None, None));
        // Seeds are larger than a 64-bit float can tell apart.
        assert_eq!(of(json!(u64::MAX), json!(u64::MAX - 1)).0, Some(json!(-1)));
        assert_eq!(of(json!(0), json!(u64::MAX)).0, Some(json!(u64::MAX as f64)));
        assert!(compare(Some(&json!(1)), Some(&json!(1.0))).is_empty());
    }
}
