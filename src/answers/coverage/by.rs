//! What coverage is grouped by.

/// What nodes are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The environment's name.
    Environment,
    /// The owner's name.
    Owner,
    /// The dbt group.
    Group,
    /// The package.
    Package,
    /// The schema in the warehouse.
    Schema,
    /// staging, intermediate, mart.
    Layer,
    /// Each of its tags: a node counts in all of them.
    Tag,
    /// private, protected, public.
    Access,
    /// The folder of its file.
    Path,
    /// dbt's type.
    ResourceType,
}

impl By {
    /// All there are.
    pub const ALL: [Self; 10] = [
        Self::Environment,
        Self::Owner,
        Self::Group,
        Self::Package,
        Self::Schema,
        Self::Layer,
        Self::Tag,
        Self::Access,
        Self::Path,
        Self::ResourceType,
    ];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Owner => "owner",
            Self::Group => "group",
            Self::Package => "package",
            Self::Schema => "schema",
            Self::Layer => "layer",
            Self::Tag => "tag",
            Self::Access => "access",
            Self::Path => "path",
            Self::ResourceType => "resource_type",
        }
    }

    /// What a group is called: by its name, or `(no owner)` if it is that of the nodes that have none.
    pub fn label(self, group: Option<&str>) -> String {
        group.map_or_else(|| format!("(no {})", self.as_str()), str::to_owned)
    }
}
