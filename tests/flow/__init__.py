"""One document's way, whole: from the caller's file to the caller's folder, and every fault on it."""
