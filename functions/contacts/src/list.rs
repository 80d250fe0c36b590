//! The contacts of a tenant, page by page.

use axum::Json;
use axum::extract::State;
use consent::contact::{Contact, Status};
use consent::http::{Caller, Problem};
use consent::id::{ContactId, Shard, TenantId};
use consent::phone::Phone;
use consent::store::ListPosition;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::cursor::{self, List};
use crate::query::{Query, Words};
use crate::view::ContactView;

/// Length of the longest id, in bytes: a parent user id with 128 characters after `US.ENT.`.
const MAX_PREFIX: usize = 135;

/// Contacts of a page, at most.
pub(crate) const MAX_LIMIT: u16 = 1_000;

/// A page of contacts.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ContactPage"))]
pub struct ContactListView {
    /// Contacts by shard, then id. A page may be short, or empty, and still have a cursor.
    contacts: Vec<ContactView>,
    /// Cursor of the next page; null after the last one.
    cursor: Option<String>,
}

/// `GET /contacts`
pub async fn page(State(app): State<App>, caller: Caller, mut query: Query) -> Result<Json<ContactListView>, Problem> {
    query.only(&["status", "prefix", "limit", "cursor"]);
    let filter = ListFilter::read(&mut query);
    let limit = query.limit(MAX_LIMIT);
    let cursor = query.text("cursor").map(str::to_owned);
    query.finish()?;

    let list = filter.list(&caller.tenant);
    let from = match cursor {
        Some(cursor) => filter.position(&list, &cursor).ok_or_else(cursor::invalid)?,
        None => ListPosition { shard: Shard::FIRST, after: None },
    };
    let tenant = app.store.tenant(&caller.tenant);
    let wanted = |contact: &Contact| filter.wants(contact);
    let (settings, found) =
        tokio::try_join!(tenant.settings(), tenant.contacts(&from, &filter.prefix, limit.into(), wanted))?;
    let contacts = found.contacts.into_iter().map(|(id, contact)| ContactView::new(id, contact, settings.as_ref()));
    Ok(Json(ContactListView { contacts: contacts.collect(), cursor: found.next.map(|next| cursor_for(&list, &next)) }))
}

/// A choice of contacts: by status, by restriction, or with an opt-out that arrived too late to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    Unknown,
    OptedIn,
    OptedOut,
    Blocked,
    ProviderStopped,
    Unheeded,
}

impl Shown {
    const WORDS: Words = Words("`unknown`, `opted_in`, `opted_out`, `blocked`, `provider_stopped` or `unheeded`");
}

/// The contacts to show.
#[derive(Debug, PartialEq, Eq)]
struct ListFilter {
    shown: Option<Shown>,
    prefix: String,
}

impl ListFilter {
    fn read(query: &mut Query) -> Self {
        let shown = query.word("status", Shown::WORDS);
        let text = query.text("prefix").unwrap_or_default();
        let is_too_long = text.chars().count() > MAX_PREFIX;
        let prefix = if text.is_empty() { String::new() } else { prefix(text) };
        if is_too_long {
            query.refuse("prefix", "is longer than any id: shorten it");
        }
        Self { shown, prefix }
    }

    fn wants(&self, contact: &Contact) -> bool {
        match self.shown {
            None => true,
            Some(Shown::Unknown) => contact.status() == Status::Unknown,
            Some(Shown::OptedIn) => contact.status() == Status::OptedIn,
            Some(Shown::OptedOut) => contact.status() == Status::OptedOut,
            Some(Shown::Blocked) => contact.suppression().blocked,
            Some(Shown::ProviderStopped) => contact.suppression().provider_stopped,
            Some(Shown::Unheeded) => contact.unheeded_opt_out_at.is_some(),
        }
    }

    fn list(&self, tenant: &TenantId) -> List {
        List::of(&["contacts", tenant.as_str(), &format!("{:?}", self.shown), &self.prefix])
    }

    /// The position of a cursor. None for a position outside of the list, which DynamoDB would refuse as a start key.
    fn position(&self, list: &List, cursor: &str) -> Option<ListPosition> {
        let [shard, after] = list.position(cursor)?;
        let shard = shard.parse().ok()?;
        if after.is_empty() {
            return Some(ListPosition { shard, after: None });
        }
        let after = ContactId::received(&after).ok()?;
        let possible = after.shard() == shard && after.as_str().starts_with(&self.prefix);
        possible.then_some(ListPosition { shard, after: Some(after) })
    }
}

fn cursor_for(list: &List, position: &ListPosition) -> String {
    let after = position.after.as_ref().map_or("", ContactId::as_str);
    list.cursor([&position.shard.to_string(), after])
}

/// The prefix of the ids that a user looks for. In a query, an unencoded `+` is a space, and people leave it out as well. A
/// complete number is turned into its canonical form.
fn prefix(text: &str) -> String {
    if text.trim_start().starts_with(char::is_alphabetic) {
        return text.trim().to_owned();
    }
    if let Ok(phone) = text.parse::<Phone>() {
        return ContactId::from(&phone).into();
    }
    let digits = text.replace(['+', ' ', '-', '.', '(', ')'], "");
    format!("+{}", digits.strip_prefix("00").unwrap_or(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tests::query;

    #[test]
    fn a_prefix_is_read_as_people_write_it() {
        for (text, read) in [
            ("+1415", "+1415"),
            ("1415", "+1415"),
            (" 1415", "+1415"),
            ("+", "+"),
            (" ", "+"),
            ("+1 (41", "+141"),
            ("0044 20", "+4420"),
            ("+1234567", "+1234567"),
            ("+1 (415) 555-0123", "+14155550123"),
            ("0014155550123", "+14155550123"),
            (" 5215512345678", "+525512345678"),
            ("US.1349", "US.1349"),
        ] {
            assert_eq!(prefix(text), read, "{text}");
        }
    }

    #[test]
    fn no_prefix_finds_every_id() {
        assert_eq!(ListFilter::read(&mut query(&[("prefix", "")])), ListFilter { shown: None, prefix: String::new() });
    }

    #[test]
    fn a_status_that_is_none_and_an_endless_prefix_are_refused_by_name() {
        for prefix in ["A".repeat(136), "0".repeat(136)] {
            let mut query = query(&[("status", "erased"), ("prefix", &prefix)]);
            ListFilter::read(&mut query);
            let errors = query.finish().unwrap_err();
            let named: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(named, ["status", "prefix"]);
        }
    }

    #[test]
    fn a_prefix_is_measured_as_it_was_given() {
        for prefix in ["1".repeat(135), "é".repeat(135)] {
            let mut query = query(&[("prefix", &prefix)]);
            ListFilter::read(&mut query);
            assert_eq!(query.finish(), Ok(()), "{prefix}");
        }
    }

    #[test]
    fn a_cursor_leads_on_in_its_own_list_only() {
        let filter = |status| ListFilter::read(&mut query(&[("status", status), ("prefix", "+1")]));
        let tenant: TenantId = "demo".parse().unwrap();
        let opted_out = filter("opted_out");
        let list = opted_out.list(&tenant);
        let after: ContactId = "+14155550123".parse().unwrap();
        let position = ListPosition { shard: after.shard(), after: Some(after) };
        let cursor = cursor_for(&list, &position);
        assert_eq!(opted_out.position(&list, &cursor), Some(position));
        let other = filter("opted_in");
        assert_eq!(other.position(&other.list(&tenant), &cursor), None);
        assert_eq!(opted_out.position(&opted_out.list(&"other".parse().unwrap()), &cursor), None);
    }

    #[test]
    fn a_cursor_to_where_nothing_of_the_list_can_be_is_refused() {
        let filter = ListFilter { shown: None, prefix: "+1".to_owned() };
        let list = filter.list(&"demo".parse().unwrap());
        for position in [["3", "+4915155550123"], ["x", ""], ["3", "nobody"]] {
            assert_eq!(filter.position(&list, &list.cursor(position)), None, "{position:?}");
        }
        assert!(filter.position(&list, &list.cursor(["f", ""])).is_some());
    }
}
