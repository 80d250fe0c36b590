//! The template counts exactly what the functions log: a renamed metric must not silence an alarm.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use consent::log::Metric;
use serde_json::{Value, json};

use super::{TEXT, kebab, yaml};

/// The resources of one type in the repository's template.
fn resources(kind: &str) -> Vec<(String, Value)> {
    let document = yaml::read(TEXT).unwrap();
    let all = document["Resources"].as_object().unwrap();
    let found = all.iter().filter(|(_, resource)| resource["Type"] == kind);
    found.map(|(name, resource)| (name.clone(), resource["Properties"].clone())).collect()
}

/// The namespace of the functions' metrics.
fn namespace() -> Value {
    json!({"Fn::Sub": "consent/${AWS::StackName}"})
}

/// A metric filter of the template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Filter {
    metric: Metric,
    function: String,
    /// The name in CloudWatch.
    name: String,
}

/// All metric filters. Checks that each of them counts lines as a metric of the same name, or takes a number from a field of
/// the lines as a metric named after both.
fn filters() -> Vec<Filter> {
    let filter = |(resource, properties): (String, Value)| {
        let pattern = properties["FilterPattern"].as_str().unwrap();
        let metric = pattern.strip_prefix("{ $.fields.metric = \"").and_then(|rest| rest.strip_suffix("\" }"));
        let metric = metric.unwrap_or_else(|| panic!("{resource}: the pattern {pattern} does not name a metric"));
        let metric = Metric::ALL.iter().find(|known| known.name() == metric);
        let metric = *metric.unwrap_or_else(|| panic!("{resource}: no function logs a metric of {pattern}"));
        let [transformation] = properties["MetricTransformations"].as_array().unwrap().as_slice() else {
            panic!("{resource}: CloudWatch takes one transformation");
        };
        let name = match transformation["MetricValue"].as_str().unwrap().strip_prefix("$.fields.") {
            Some(field) => format!("{}_{field}", metric.name()),
            None => metric.name().to_owned(),
        };
        assert_eq!(transformation["MetricName"], name, "{resource}");
        assert_eq!(transformation["MetricNamespace"], namespace(), "{resource}");
        assert!(name != metric.name() || transformation["MetricValue"] == "1", "{resource} counts by ones");
        let group = properties["LogGroupName"]["Ref"].as_str().and_then(|group| group.strip_suffix("Logs"));
        let function = kebab(group.unwrap_or_else(|| panic!("{resource}: not the log group of a function")));
        Filter { metric, function, name }
    };
    resources("AWS::Logs::MetricFilter").into_iter().map(filter).collect()
}

#[test]
fn every_metric_that_the_template_counts_has_a_filter_in_each_of_its_functions_and_no_filter_is_left_over() {
    let filters = filters();
    let pairs: BTreeSet<_> = filters.iter().map(|filter| (filter.metric, filter.function.clone())).collect();
    let counted = Metric::ALL
        .iter()
        .flat_map(|metric| metric.counted_in().iter().map(|function| (*metric, (*function).to_owned())));
    assert_eq!(pairs, counted.collect(), "the template on the left, the code on the right");
    assert_eq!(filters.iter().collect::<BTreeSet<_>>().len(), filters.len(), "a case is counted twice");
}

#[test]
fn every_alarm_on_our_own_metrics_watches_one_that_is_counted() {
    let counted: BTreeSet<_> = filters().into_iter().map(|filter| filter.name).collect();
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

/// The metrics without an alarm: anyone can send such requests, or the tenant chose the setting.
const NO_ALARM: [Metric; 3] = [Metric::BadUpdate, Metric::OptOutDisabled, Metric::Unsigned];

#[test]
fn every_counted_metric_has_an_alarm_but_those_that_are_no_reason_to_wake_anybody() {
    let watched: BTreeSet<String> = resources("AWS::CloudWatch::Alarm")
        .iter()
        .map(|(_, alarm)| alarm["MetricName"].as_str().unwrap().to_owned())
        .collect();
    for metric in Metric::ALL.iter().filter(|metric| !metric.counted_in().is_empty()) {
        assert_ne!(watched.contains(metric.name()), NO_ALARM.contains(metric), "{metric:?}");
    }
}

#[test]
fn silence_raises_the_alarms_that_watch_for_it_and_no_other() {
    let silent: BTreeSet<String> = resources("AWS::CloudWatch::Alarm")
        .into_iter()
        .filter(|(_, alarm)| alarm["TreatMissingData"] == "breaching")
        .inspect(|(name, alarm)| assert_eq!(alarm["ComparisonOperator"], "LessThanThreshold", "{name}"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(silent.into_iter().collect::<Vec<_>>(), ["SweepMissingAlarm", "WebhookSilentAlarm"]);
    for (name, alarm) in resources("AWS::CloudWatch::Alarm") {
        assert!(["breaching", "notBreaching"].contains(&alarm["TreatMissingData"].as_str().unwrap()), "{name}");
    }
}

#[test]
fn every_alarm_tells_the_topic_and_says_why() {
    for (name, alarm) in resources("AWS::CloudWatch::Alarm") {
        let topic = json!({"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]});
        assert_eq!(alarm["AlarmActions"], topic, "{name}");
        assert!(!alarm["AlarmDescription"].as_str().unwrap().is_empty(), "{name}");
    }
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
fn what_a_filter_takes_a_number_from_is_a_field_of_the_line() {
    let texts: Vec<_> = sources().into_iter().map(|(path, of)| (fs::read_to_string(path).unwrap(), of)).collect();
    for filter in filters() {
        let Some(field) = filter.name.strip_prefix(&format!("{}_", filter.metric.name())) else { continue };
        let site = format!("Metric::{:?}, ", filter.metric);
        let lines = texts.iter().filter(|(_, of)| of.as_ref() == Some(&filter.function));
        let lines = lines.flat_map(|(text, _)| text.split(&site).skip(1)).filter_map(|rest| rest.split(';').next());
        assert!(
            lines.into_iter().any(|line| line.split(", ").any(|part| part == field)),
            "no line has {}",
            filter.name
        );
    }
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
