//! Queries: items of one partition in the order of their sort keys, always strongly consistent.
//!
//! [`Store::query`] is the only place that makes one. Decisions rest on what is read, so no query may lag behind an
//! acknowledged write, and none reads an index.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use super::Store;

/// The sort keys within a partition that a query reads. Bounds are excluded, but for those of [`SortKeys::Between`].
#[derive(Clone, Debug)]
pub(super) enum SortKeys {
    All,
    BeginWith(String),
    Before(String),
    After(String),
    Between { first: String, last: String },
}

impl Store {
    /// A strongly consistent query of a partition.
    pub(super) fn query(&self, partition: String, sort_keys: SortKeys) -> QueryFluentBuilder {
        let (condition, bounds) = match sort_keys {
            SortKeys::All => ("pk = :pk", vec![]),
            SortKeys::BeginWith(prefix) => ("pk = :pk AND begins_with(sk, :prefix)", vec![(":prefix", prefix)]),
            SortKeys::Before(bound) => ("pk = :pk AND sk < :bound", vec![(":bound", bound)]),
            SortKeys::After(bound) => ("pk = :pk AND sk > :bound", vec![(":bound", bound)]),
            SortKeys::Between { first, last } => {
                ("pk = :pk AND sk BETWEEN :first AND :last", vec![(":first", first), (":last", last)])
            }
        };
        let query = self.client.query().table_name(&*self.table).consistent_read(true);
        let query = query.key_condition_expression(condition);
        let values = bounds.into_iter().chain([(":pk", partition)]);
        values.fold(query, |query, (name, text)| query.expression_attribute_values(name, AttributeValue::S(text)))
    }
}
