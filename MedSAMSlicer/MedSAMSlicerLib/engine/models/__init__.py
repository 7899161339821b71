"""One file per model family; `catalogue` says what exists, `weights` finds, verifies and loads."""
