//! The one paging loop, and with it the proof that a list was read whole and at one moment.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use graphql_client::GraphQLQuery;

use crate::inventory::{Node, Pool};
use crate::origin::discovery::error::{Error, Kind};
use crate::origin::discovery::read::environment::Stamps;
use crate::origin::discovery::wire::client::Client;
use crate::origin::discovery::wire::retry::Ask;
use crate::origin::draft::Draft;
use crate::origin::{CodeText, Progress};
use tokio::sync::mpsc::Sender;

/// A document that is read page by page.
pub(crate) trait Document: GraphQLQuery {
    /// What it lists, for messages.
    const RESOURCE: &'static str;
    /// One node as the server gives it.
    type Item;

    fn variables(ask: &Ask) -> Self::Variables;
    fn page(data: Self::ResponseData) -> Page<Self::Item>;
    fn draft(item: Self::Item) -> Draft;
}

/// One answer. Each state's part is `None` where the state is null.
pub(crate) struct Page<N> {
    pub applied_at: Option<Option<String>>,
    pub definition_at: Option<Option<String>>,
    pub list: Option<List<N>>,
}

pub(crate) struct List<N> {
    pub total: i64,
    pub has_next: bool,
    pub end_cursor: Option<String>,
    pub nodes: Vec<N>,
}

/// Derives the types of a document; with more than its name and path, makes it a [`Document`].
macro_rules! document {
    ($query:ident, $path:tt) => {
        #[derive(graphql_client::GraphQLQuery)]
        #[graphql(
            schema_path = "queries/schema/discovery.graphql",
            query_path = $path,
            custom_scalars_module = "crate::origin::discovery::read::scalars",
            extern_enums(
                "FreshnessStatus",
                "ReleaseVersion",
                "ResourceNodeType",
                "RunStatus",
                "TestStatus",
                "TestType",
                "TimePeriod"
            ),
            fragments_other_variant = "true",
            skip_serializing_none
        )]
        pub(crate) struct $query;
    };
    ($query:ident, $path:tt, $module:ident, $resource:literal, $state:ident.$list:ident($($filter:ident)?), $draft:ident) => {
        document!($query, $path);

        impl crate::origin::discovery::read::page::Document for $query {
            const RESOURCE: &'static str = $resource;
            type Item = $module::Item;

            fn variables(ask: &crate::origin::discovery::wire::retry::Ask) -> $module::Variables {
                $module::Variables {
                    environment_id: crate::origin::discovery::read::scalars::BigInt(ask.place.environment_id),
                    first: ask.first.into(),
                    after: ask.after.clone(),
                    $($filter: ask.$filter.clone(),)?
                }
            }

            fn page(data: $module::ResponseData) -> crate::origin::discovery::read::page::Page<$module::Item> {
                let environment = data.environment;
                crate::origin::discovery::read::page::Page {
                    applied_at: environment.applied.as_ref().map(|state| state.last_updated_at.clone()),
                    definition_at: environment.definition.as_ref().map(|state| state.last_updated_at.clone()),
                    list: environment.$state.map(|state| crate::origin::discovery::read::page::List {
                        total: state.$list.total_count,
                        has_next: state.$list.page_info.has_next_page,
                        end_cursor: state.$list.page_info.end_cursor,
                        nodes: state.$list.edges.into_iter().map(|edge| edge.node).collect(),
                    }),
                }
            }

            fn draft(item: $module::Item) -> crate::origin::draft::Draft {
                $draft(item)
            }
        }
    };
}
pub(crate) use document;

/// One read of an environment, all of whose pages must be of the same moment.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub client: &'a Client,
    pub environment_id: i64,
    pub before: &'a Stamps,
    /// A page's texts at a time.
    pub code: &'a Sender<Vec<CodeText>>,
    /// Equal texts of all lists are held once.
    pub pool: &'a Mutex<Pool>,
    pub progress: Progress<'a>,
}

impl Reader<'_> {
    /// All nodes of a list, or an error: never a part.
    pub(crate) async fn read<D: Document>(&self) -> Result<Vec<Draft>, Error> {
        self.read_pages::<D, _>(self.client.ask(self.environment_id, D::RESOURCE), |draft| draft).await
    }

    /// Exactly the nodes of these ids.
    pub(crate) async fn read_ids<D: Document>(&self, ids: Vec<String>) -> Result<Vec<Draft>, Error> {
        let mut drafts = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(self.client.page_size() as usize) {
            let mut ask = self.client.ask(self.environment_id, D::RESOURCE);
            ask.unique_ids = chunk.to_vec();
            let place = ask.place.clone();
            let found = self.read_pages::<D, _>(ask, |draft| draft).await?;
            let asked: BTreeSet<&str> = chunk.iter().map(String::as_str).collect();
            let answered: BTreeSet<&str> = found.iter().map(|draft| draft.node.unique_id.as_str()).collect();
            if let Some(id) = asked.symmetric_difference(&answered).next() {
                let what =
                    format!("{} ids were asked for and {} came, not the same: `{id}`", asked.len(), answered.len());
                return Err(Error::at(&place, Kind::Incomplete { what }));
            }
            drafts.extend(found);
        }
        Ok(drafts)
    }

    /// All pages of a list; of each node what `keep` makes of it.
    pub(crate) async fn read_pages<D: Document, T>(
        &self,
        mut ask: Ask,
        keep: impl Fn(Draft) -> T,
    ) -> Result<Vec<T>, Error> {
        let mut proof = Proof::default();
        let mut kept = Vec::new();
        loop {
            ask.place.page += 1;
            let page = D::page(self.client.answer::<D>(&mut ask, D::variables).await?);
            let place = ask.place.clone();
            let failed = |kind| Error::at(&place, kind);
            self.at_same_moment(page.applied_at, page.definition_at).map_err(failed)?;
            let null = || failed(Kind::Moved { what: "the state is null".into() });
            let list = page.list.ok_or_else(null)?;
            let count = list.nodes.len();
            let mut texts = Vec::new();
            for item in list.nodes {
                let mut draft = D::draft(item);
                proof.see(&draft.node).map_err(failed)?;
                texts.append(&mut draft.texts);
                self.pool.lock().unwrap_or_else(PoisonError::into_inner).share_node(&mut draft.node);
                kept.push(keep(draft));
            }
            if !texts.is_empty() {
                self.code.send(texts).await.map_err(|_| failed(Kind::SinkClosed))?;
            }
            let next = proof.turn(list.total, count, list.has_next, list.end_cursor).map_err(failed)?;
            (self.progress)(place.resource, kept.len() as u64, list.total.try_into().unwrap_or_default());
            tracing::debug!(
                resource = place.resource,
                page = place.page,
                seen = kept.len(),
                total = list.total,
                "page read"
            );
            match next {
                Some(cursor) => ask.after = Some(cursor),
                None => return Ok(kept),
            }
        }
    }

    /// Whether an answer with these stamps is of the moment that the read began at.
    pub(crate) fn at_same_moment(
        &self,
        applied_at: Option<Option<String>>,
        definition_at: Option<Option<String>>,
    ) -> Result<(), Kind> {
        let moved = |state: &str| Kind::Moved { what: format!("`lastUpdatedAt` of the {state} state moved") };
        if applied_at.as_ref() != self.before.applied.as_ref().map(|state| &state.last_updated_at) {
            return Err(moved("applied"));
        }
        if definition_at.as_ref() != self.before.definition.as_ref().map(|state| &state.last_updated_at) {
            return Err(moved("definition"));
        }
        Ok(())
    }
}

/// What must hold of a list that was read whole.
#[derive(Default)]
struct Proof {
    total: Option<i64>,
    ids: HashSet<Box<str>>,
    cursors: HashSet<String>,
}

impl Proof {
    fn see(&mut self, node: &Node) -> Result<(), Kind> {
        let id = node.unique_id.as_str();
        if id.trim().is_empty() {
            return Err(incomplete("a node came whose `uniqueId` is empty".to_owned()));
        }
        if node.parents.iter().any(|parent| parent.as_str().trim().is_empty()) {
            return Err(incomplete(format!("a parent of `{id}` has an empty `uniqueId`")));
        }
        if self.ids.insert(id.into()) { Ok(()) } else { Err(incomplete(format!("`{id}` came twice"))) }
    }

    /// Ends a page of `count` nodes. Returns the cursor of the next one, or `None` at the proved end.
    fn turn(
        &mut self,
        total: i64,
        count: usize,
        has_next: bool,
        end_cursor: Option<String>,
    ) -> Result<Option<String>, Kind> {
        let first = *self.total.get_or_insert(total);
        if first != total {
            return Err(incomplete(format!("`totalCount` was {first}, then {total}")));
        }
        let seen = self.ids.len();
        let whole = i64::try_from(seen) == Ok(total);
        // A list that goes on past its own total would never end.
        if has_next && i64::try_from(seen).is_ok_and(|seen| seen > total) || !has_next && !whole {
            return Err(incomplete(format!("{seen} nodes came, `totalCount` is {total}")));
        }
        if !has_next {
            return Ok(None);
        }
        if count == 0 {
            return Err(incomplete(format!(
                "a page is empty after {seen} of {total} nodes, and says that more follow"
            )));
        }
        let Some(cursor) = end_cursor.filter(|cursor| !cursor.is_empty()) else {
            return Err(incomplete(format!("no cursor after {seen} of {total} nodes, though more follow")));
        };
        if !self.cursors.insert(cursor.clone()) {
            return Err(incomplete(format!("the cursor came twice after {seen} of {total} nodes")));
        }
        Ok(Some(cursor))
    }
}

fn incomplete(what: String) -> Kind {
    Kind::Incomplete { what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::ResourceType;

    fn proof_after(ids: &[&str]) -> Proof {
        let mut proof = Proof::default();
        for id in ids {
            proof.see(&node(id)).expect("a new id");
        }
        proof
    }

    fn node(id: &str) -> Node {
        Node::new(id, ResourceType::Model)
    }

    fn cursor(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_whole_list_ends() {
        let mut proof = proof_after(&["a"]);
        assert_eq!(proof.turn(2, 1, true, cursor("1")), Ok(cursor("1")));
        proof.see(&node("b")).expect("a new id");
        assert_eq!(proof.turn(2, 1, false, cursor("2")), Ok(None));
        assert_eq!(Proof::default().turn(0, 0, false, None), Ok(None));
    }

    #[test]
    fn a_repeated_cursor_is_an_error() {
        let mut proof = proof_after(&["a"]);
        proof.turn(3, 1, true, cursor("1")).expect("a page");
        proof.turn(3, 1, true, cursor("2")).expect("a page");
        assert!(proof.turn(3, 1, true, cursor("1")).is_err());
    }

    #[test]
    fn a_list_that_does_not_add_up_is_an_error() {
        assert!(proof_after(&["a"]).see(&node("a")).is_err(), "an id twice");
        assert!(proof_after(&["a"]).turn(2, 1, false, None).is_err(), "one lost");
        assert!(proof_after(&["a"]).turn(0, 1, false, None).is_err(), "one too many");
        assert!(proof_after(&["a"]).turn(2, 0, true, cursor("1")).is_err(), "empty, though more follow");
        for no_cursor in [None, cursor("")] {
            assert!(proof_after(&["a"]).turn(2, 1, true, no_cursor).is_err(), "no cursor, though more follow");
        }
        assert!(
            proof_after(&["a", "b"]).turn(1, 2, true, cursor("1")).is_err(),
            "more than there are, and more follow"
        );
        let mut moving = proof_after(&["a"]);
        moving.turn(3, 1, true, cursor("1")).expect("a page");
        assert!(moving.turn(4, 1, true, cursor("2")).is_err(), "the total moved");
    }

    #[test]
    fn a_node_or_a_parent_without_an_id_is_refused() {
        for blank in ["", " "] {
            assert!(Proof::default().see(&node(blank)).is_err(), "`{blank}`");
            let child = Node { parents: vec![blank.into()], ..node("a") };
            assert!(Proof::default().see(&child).is_err(), "a parent `{blank}`");
        }
    }
}
