//! What the series of a metric are told apart by, and the words that stand there.

use prometheus_client::encoding::EncodeLabelSet;

/// What became of a call of the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It made an environment due.
    Accepted,
    /// Its event had been delivered before.
    Duplicate,
    /// Its event is too long ago.
    Old,
    /// Its event is too far ahead.
    Ahead,
    /// Its event has no time.
    Undated,
    /// Its event is of a kind that starts nothing.
    Ignored,
    /// Its environment is not one of ours.
    UnknownEnvironment,
    /// It is authentic, but can't be read.
    Unreadable,
    /// It is not signed with our secret.
    Forged,
    /// Its body is too large, or took too long.
    Refused,
}

impl Delivery {
    pub(super) const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Duplicate,
        Self::Old,
        Self::Ahead,
        Self::Undated,
        Self::Ignored,
        Self::UnknownEnvironment,
        Self::Unreadable,
        Self::Forged,
        Self::Refused,
    ];

    /// The word for it in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Old => "old",
            Self::Ahead => "ahead",
            Self::Undated => "undated",
            Self::Ignored => "ignored",
            Self::UnknownEnvironment => "unknown_environment",
            Self::Unreadable => "unreadable",
            Self::Forged => "forged",
            Self::Refused => "refused",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Of {
    pub(super) environment: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SyncLabels {
    pub(super) environment: String,
    pub(super) outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReceiverLabels {
    pub(super) receiver: String,
    pub(super) environment: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InterfaceLabels {
    pub(super) environment: String,
    pub(super) interface: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NodeLabels {
    pub(super) environment: String,
    pub(super) resource_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabels {
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CodeLabels {
    pub(super) code: u16,
}
