"""One file a command: parse, call the library, print. Each is imported when it is called, by the table in `main`."""
