//! Our GraphQL documents against the public schema, with the same engine as the server's.

use std::path::Path;

use apollo_compiler::{ExecutableDocument, Schema};

#[test]
fn the_live_schema_would_accept_every_document() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    let sdl = std::fs::read_to_string(folder.join("schema/discovery.graphql")).expect("the schema");
    let schema = Schema::parse_and_validate(sdl, "discovery.graphql").expect("a valid schema");
    let mut documents = 0;
    for entry in std::fs::read_dir(&folder).expect("queries") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "graphql") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("read");
        let document = ExecutableDocument::parse_and_validate(&schema, text, &path)
            .unwrap_or_else(|invalid| panic!("{}:\n{}", path.display(), invalid.errors));
        assert_eq!(document.operations.len(), 1, "{}: one operation in each document", path.display());
        documents += 1;
    }
    assert!(documents >= 17, "only {documents} documents were found");
}
