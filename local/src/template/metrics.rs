//! The template counts exactly what the functions log: a renamed metric must not silence an alarm.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use consent::log::Metric;
use serde_json::{Value, json};

use super::{kebab, yaml};

/// The resources of one type in the repository's template.
fn resources(kind: &str) -> Vec<(String, Value)> {
    let document = yaml::read(include_str!("../../../template.yaml")).unwrap();
    let all = document["Resources"].as_object().unwrap();
    let found = all.iter().filter(|(_, resource)| resource["Type"] == kind);
    found.map(|(name, resource)| (name.clone(), resource["Properties"].clone())).collect()
}

/// The namespace of the functions' metrics.
fn namespace() -> Value {
    json!({"Fn::Sub": "consent/${AWS::StackName}"})
}

/// Each metric filter as metric and function, after a check that it has the one form that counts lines.
fn filters() -> Vec<(Metric, String)> {
    let filter = |(name, properties): (String, Value)| {
        let pattern = properties["FilterPattern"].as_str().unwrap();
        let metric = pattern.strip_prefix("{ $.fields.metric = \"").and_then(|rest| rest.strip_suffix("\" }"));
        let metric = metric.unwrap_or_else(|| panic!("{name}: the pattern {pattern} does not name a metric"));
        let metric = Metric::ALL.iter().find(|known| known.name() == metric);
        let metric = *metric.unwrap_or_else(|| panic!("{name}: no function logs a metric of {pattern}"));
        let count = json!([{"MetricNamespace": namespace(), "MetricName": metric.name(), "MetricValue": "1"}]);
        assert_eq!(properties["MetricTransformations"], count, "{name}");
        let group = properties["LogGroupName"]["Ref"].as_str().and_then(|group| group.strip_suffix("Logs"));
        (metric, kebab(group.unwrap_or_else(|| panic!("{name}: not the log group of a function"))))
    };
    resources("AWS::Logs::MetricFilter").into_iter().map(filter).collect()
}

#[test]
fn every_metric_that_the_template_counts_has_a_filter_in_each_of_its_functions_and_no_filter_is_left_over() {
    let filters = filters();
    let counted = Metric::ALL
        .iter()
        .flat_map(|metric| metric.counted_in().iter().map(|function| (*metric, (*function).to_owned())));
    assert_eq!(
        filters.iter().cloned().collect::<BTreeSet<_>>(),
        counted.collect(),
        "the template on the left, the code on the right"
    );
    assert_eq!(filters.iter().collect::<BTreeSet<_>>().len(), filters.len(), "a case is counted twice");
}

#[test]
fn every_alarm_on_our_own_metrics_watches_one_that_is_counted() {
    let counted: BTreeSet<_> = filters().into_iter().map(|(metric, _)| metric.name()).collect();
    let mut watched = 0;
    for (name, alarm) in resources("AWS::CloudWatch::Alarm") {
        let ours = alarm["Namespace"].as_str().is_none_or(|namespace| !namespace.starts_with("AWS/"));
        if ours {
            assert_eq!(alarm["Namespace"], namespace(), "{name}");
            let metric = alarm["MetricName"].as_str().unwrap();
            assert!(counted.contains(metric), "{name}: nothing counts {metric}");
            watched += 1;
        }
    }
    assert!(watched > 0);
}

/// The Rust files of what is deployed, each with its function; `None` is the shared crate.
fn sources() -> Vec<(PathBuf, Option<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    let mut folders = vec![(root.join("shared/src"), None)];
    for function in fs::read_dir(root.join("functions")).unwrap() {
        let function = function.unwrap();
        folders.push((function.path().join("src"), Some(function.file_name().into_string().unwrap())));
    }
    while let Some((folder, function)) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push((path, function.clone()));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path, function.clone()));
            }
        }
    }
    found
}

/// The identifiers that follow `Metric::` in a source text.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split("Metric::").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
}

#[test]
fn no_function_logs_a_counted_metric_where_the_template_does_not_look() {
    let mut sites = 0;
    for (path, function) in sources() {
        let Some(function) = function else { continue };
        let text = fs::read_to_string(&path).unwrap();
        for metric in Metric::ALL.iter().filter(|metric| named(&text).any(|name| name == format!("{metric:?}"))) {
            let places = metric.counted_in();
            assert!(places.is_empty() || places.contains(&function.as_str()), "{}: {metric:?}", path.display());
            sites += 1;
        }
    }
    assert!(sites > 20, "only {sites} call sites were found");
}

#[test]
fn no_call_site_logs_a_metric_by_a_free_string() {
    for (path, _) in sources() {
        if path.ends_with("shared/src/log.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("METRICS"), "{}: lines that are counted are written by `count!`", path.display());
        for event in text.split("tracing::").skip(1) {
            let event = event.split(';').next().unwrap_or_default();
            assert!(!event.contains("metric"), "{}: {event}: log it with `count!`", path.display());
        }
    }
}

#[test]
fn every_metric_is_logged_somewhere() {
    let texts: Vec<_> = sources().iter().map(|(path, _)| fs::read_to_string(path).unwrap()).collect();
    for metric in Metric::ALL {
        let name = format!("{metric:?}");
        assert!(texts.iter().any(|text| named(text).any(|named| named == name)), "nothing logs {name}");
    }
}
