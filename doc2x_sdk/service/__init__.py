"""The wire: one method an endpoint, a request in and a model out. No loops over documents, no files."""
