//! The contacts of a tenant, page by page.

use futures::{Stream, StreamExt, stream};

use super::key::{self, Item, ItemKey};
use super::query::SortKeys;
use super::record_item;
use super::request::{unavailable, unreadable};
use super::{StoreError, TenantStore};
use crate::contact::{Contact, Status};
use crate::id::{ContactId, Shard};

/// The position at which a page of contacts begins: behind an id, or at the beginning of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPosition {
    /// The shard.
    pub shard: Shard,
    /// The last id that was looked at in that shard.
    pub after: Option<ContactId>,
}

/// A page of contacts.
#[derive(Debug)]
pub struct ContactPage {
    /// The contacts, by shard and id.
    pub contacts: Vec<(ContactId, Contact)>,
    /// The position at which the next page begins, unless this is the last one.
    pub next: Option<ListPosition>,
}

impl TenantStore {
    /// All contacts who opted in, under all ids that they go by, in no order, by reading all contacts. The stream is
    /// complete only if no error came before its end.
    pub fn opted_in(&self) -> impl Stream<Item = Result<Vec<ContactId>, StoreError>> + Send + '_ {
        let pages = move |shard| {
            let first = Some(ListPosition { shard, after: None });
            stream::try_unfold(first, move |at| async move {
                let Some(from) = at else { return Ok(None) };
                let (items, is_last) = self.contacts_after(&from, "").await?;
                let next = items.last().filter(|_| !is_last).map(|(id, _)| id.clone());
                let next = next.map(|after| ListPosition { shard, after: Some(after) });
                let mut opted_in = Vec::new();
                for (id, item) in items {
                    if let Some(contact) = record_item::listed_contact(item)?
                        && contact.status() == Status::OptedIn
                    {
                        opted_in.extend(contact.user_id.as_ref().map(ContactId::from));
                        opted_in.push(id);
                    }
                }
                Ok(Some((opted_in, next)))
            })
            .boxed()
        };
        stream::iter(Shard::all().map(pages)).flatten_unordered(SHARDS_AT_ONCE)
    }

    /// Up to `limit` contacts that are `wanted`, among those whose id begins with `prefix`. The page may be shorter than
    /// that and still not be the last one: looking for rare contacts ends after two thousand items.
    ///
    /// # Errors
    /// The contacts could not be read.
    pub async fn contacts(
        &self,
        from: &ListPosition,
        prefix: &str,
        limit: usize,
        wanted: impl Fn(&Contact) -> bool,
    ) -> Result<ContactPage, StoreError> {
        let mut contacts = Vec::new();
        let mut looked_at = 0;
        let mut from = from.clone();
        loop {
            let (items, last) = self.contacts_after(&from, prefix).await?;
            looked_at += items.len();
            for (id, item) in items {
                from.after = Some(id.clone());
                let Some(contact) = record_item::listed_contact(item)? else { continue };
                if contact.is_known() && wanted(&contact) {
                    contacts.push((id, contact));
                    if contacts.len() == limit {
                        return Ok(ContactPage { contacts, next: Some(from) });
                    }
                }
            }
            if last {
                match from.shard.and_later().nth(1) {
                    Some(shard) => from = ListPosition { shard, after: None },
                    None => return Ok(ContactPage { contacts, next: None }),
                }
            }
            if looked_at >= LOOKED_AT {
                return Ok(ContactPage { contacts, next: Some(from) });
            }
        }
    }

    /// The items of a shard behind a position, and whether they were its last.
    async fn contacts_after(
        &self,
        from: &ListPosition,
        prefix: &str,
    ) -> Result<(Vec<(ContactId, Item)>, bool), StoreError> {
        let partition = key::contacts(&self.id, from.shard);
        let start =
            from.after.as_ref().map(|after| ItemKey { pk: partition.clone(), sk: after.to_string() }.into_item());
        let ids = if prefix.is_empty() { SortKeys::All } else { SortKeys::BeginWith(prefix.to_owned()) };
        let answer = self
            .store
            .query(partition, ids)
            .set_exclusive_start_key(start)
            .limit(PAGE)
            .send()
            .await
            .map_err(unavailable)?;
        let last = answer.last_evaluated_key.is_none();
        let id = |item: &Item| ContactId::received(&ItemKey::of(item)?.sk).ok();
        let items = answer.items.unwrap_or_default().into_iter();
        let items = items.map(|item| Ok((id(&item).ok_or_else(|| unreadable("contact"))?, item)));
        Ok((items.collect::<Result<_, StoreError>>()?, last))
    }
}

/// Shards that are read at a time where all contacts are.
const SHARDS_AT_ONCE: usize = 8;

/// Contacts that one query reads.
const PAGE: i32 = 250;

/// Contacts that one page looks at before it gives up finding more.
const LOOKED_AT: usize = 2_000;
