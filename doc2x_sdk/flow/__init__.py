"""One document's way, a module a step; `pipeline` calls them in order."""
