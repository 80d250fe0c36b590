//! The permissions of a function on the table, from its IAM policies.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One statement of a policy on the table.
#[derive(Clone, Debug)]
pub struct Permission {
    actions: Vec<String>,
    /// Patterns of partition keys. Each key of a request must match one of them. Empty for any key.
    keys: Vec<String>,
    /// Patterns of partition keys that no key of a request may match.
    other_keys: Vec<String>,
}

impl Permission {
    /// Returns true if a request is allowed to do `action`, for example `PutItem`, on these partition keys.
    #[must_use]
    pub fn allows<'a>(&self, action: &str, keys: impl IntoIterator<Item = &'a str>) -> bool {
        let any = |patterns: &[String], key: &str| patterns.iter().any(|pattern| is_like(key, Pattern(pattern)));
        self.actions.iter().any(|allowed| allowed.strip_prefix("dynamodb:") == Some(action))
            && keys.into_iter().all(|key| (self.keys.is_empty() || any(&self.keys, key)) && !any(&self.other_keys, key))
    }

    /// The statements on the table in a function's policies. Policies under a condition are left out.
    pub(super) fn of(policies: &[Value]) -> Result<Vec<Self>, String> {
        let mut permissions = Vec::new();
        for policy in policies.iter().filter(|policy| policy.get("Fn::If").is_none()) {
            let policy: Policy = serde_json::from_value(policy.clone()).map_err(|error| error.to_string())?;
            for statement in policy.statement {
                permissions.extend(statement.on_table()?);
            }
        }
        Ok(permissions)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    sid: String,
    effect: String,
    action: OneOrMore,
    resource: Value,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Statement {
    fn on_table(self) -> Result<Option<Permission>, String> {
        let actions = match self.action {
            OneOrMore::One(action) => vec![action],
            OneOrMore::More(actions) => actions,
        };
        if !actions.iter().any(|action| action.starts_with("dynamodb:")) {
            return Ok(None);
        }
        if self.effect != "Allow" || self.resource["Fn::GetAtt"] != serde_json::json!(["Table", "Arn"]) {
            return Err(format!("{}: not a permission on the table", self.sid));
        }
        let mut permission = Permission { actions, keys: Vec::new(), other_keys: Vec::new() };
        for (operator, mut values) in self.condition {
            let keys = values.remove("dynamodb:LeadingKeys").filter(|_| values.is_empty());
            match (operator.as_str(), keys) {
                ("ForAllValues:StringLike", Some(keys)) => permission.keys = keys,
                ("ForAllValues:StringNotLike", Some(keys)) => permission.other_keys = keys,
                _ => return Err(format!("{}: the condition {operator} is not played here", self.sid)),
            }
        }
        Ok(Some(permission))
    }
}

/// An IAM pattern: `*` is any text, `?` is any one character.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
#[derive(Clone, Copy)]
struct Pattern<'a>(&'a str);

/// Returns true if a text matches a pattern.
fn is_like(text: &str, Pattern(pattern): Pattern) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let mut rests = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            rests.any(|at| is_like(&text[at..], Pattern(&pattern[1..])))
        }
        Some(wanted) => text.chars().next().is_some_and(|found| {
            let rest = Pattern(&pattern[wanted.len_utf8()..]);
            (wanted == '?' || wanted == found) && is_like(&text[found.len_utf8()..], rest)
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_are_those_of_iam() {
        for (text, pattern) in
            [("T#demo#C#1", "T#*#*"), ("OUTBOX#f", "OUTBOX#*"), ("T#a", "T#?"), ("é", "?"), ("x", "*"), ("", "*")]
        {
            assert!(is_like(text, Pattern(pattern)), "{text} {pattern}");
        }
        for (text, pattern) in
            [("T#demo", "T#*#*"), ("OUTBOX", "OUTBOX#*"), ("T#", "T#?"), ("xT#a#b", "T#*"), ("x", "")]
        {
            assert!(!is_like(text, Pattern(pattern)), "{text} {pattern}");
        }
    }

    #[test]
    fn a_statement_allows_its_actions_on_its_keys() {
        let statement = |condition: Value| {
            let statement = json!({"Sid": "S", "Effect": "Allow", "Action": ["dynamodb:PutItem"], "Resource": {"Fn::GetAtt": ["Table", "Arn"]}, "Condition": condition});
            Permission::of(&[json!({"Version": "2012-10-17", "Statement": [statement]})])
        };
        let keys = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#*"]}, "ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["T#*#*"]}});
        let [permission] = statement(keys).unwrap().try_into().unwrap();
        assert!(permission.allows("PutItem", ["T#a", "T#b"]));
        assert!(!permission.allows("PutItem", ["T#a", "T#b#C#1"]) && !permission.allows("PutItem", ["X"]));
        assert!(!permission.allows("DeleteItem", ["T#a"]));
        assert!(statement(json!({"StringEquals": {"dynamodb:Select": ["COUNT"]}})).is_err());
    }
}
